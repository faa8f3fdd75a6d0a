// What stands in for WinDbg: the `host` object that a script is given, as Microsoft's pages
// "JavaScript Debugger Scripting" and "Native Debugger Objects in JavaScript Extensions" describe
// it, over the memory of a machine that was stopped and the types of a PDB. It offers nothing that
// those pages do not, and refuses what they say is refused: memory that is not mapped, types and
// fields that are not there, numbers that would lose digits, the second phase before
// `initializeScript` has returned.

"use strict";

const fs = require("fs");
const vm = require("vm");

const MASK = (1n << 64n) - 1n;
const PAGE = 4096n;
/// Bits of a page table's entry.
const PRESENT = 1n;
const LARGE = 1n << 7n;
const FRAME = 0x000ffffffffff000n;
/// A read of more than this is a script's mistake.
const MOST_BYTES = 1 << 20;

/// The library's 64-bit values; one object for each value, so that `==` compares values.
class Int64 {
    constructor(value) {
        this.bits = value & MASK;
    }

    static of(value) {
        const bits = BigInt.asUintN(64, BigInt(value instanceof Int64 ? value.bits : value));
        if (!Int64.known.has(bits)) {
            Int64.known.set(bits, Object.freeze(new Int64(bits)));
        }
        return Int64.known.get(bits);
    }

    asNumber() {
        if (this.bits > BigInt(Number.MAX_SAFE_INTEGER)) {
            throw new Error("64 bit value loses precision on conversion to number");
        }
        return Number(this.bits);
    }
    valueOf() { return this.asNumber(); }
    convertToNumber() { return Number(this.bits); }
    getLowPart() { return Number(this.bits & 0xffffffffn); }
    getHighPart() { return Number(this.bits >> 32n); }
    add(other) { return Int64.of(this.bits + Int64.of(other).bits); }
    subtract(other) { return Int64.of(this.bits - Int64.of(other).bits); }
    multiply(other) { return Int64.of(this.bits * Int64.of(other).bits); }
    divide(other) { return Int64.of(this.bits / Int64.of(other).bits); }
    bitwiseAnd(other) { return Int64.of(this.bits & Int64.of(other).bits); }
    bitwiseOr(other) { return Int64.of(this.bits | Int64.of(other).bits); }
    bitwiseXor(other) { return Int64.of(this.bits ^ Int64.of(other).bits); }
    bitwiseShiftLeft(count) { return Int64.of(this.bits << BigInt(count)); }
    bitwiseShiftRight(count) { return Int64.of(this.bits >> BigInt(count)); }
    toString(radix) { return radix === 16 || radix === undefined
        ? "0x" + this.bits.toString(16) : this.bits.toString(radix); }
}
Int64.known = new Map();

/// The memory of the machine, through its page tables.
class Memory {
    constructor(file, root) {
        this.file = fs.openSync(file, "r");
        this.root = BigInt(root) & FRAME;
        this.changed = new Map();
        this.reads = 0;
    }

    physical(address, bytes) {
        const buffer = Buffer.alloc(bytes);
        if (fs.readSync(this.file, buffer, 0, bytes, Number(address)) !== bytes) {
            throw new Error(`no memory at the physical address 0x${address.toString(16)}`);
        }
        return buffer;
    }

    /// The physical address of a byte, or an error.
    translate(address) {
        const top = address >> 47n;
        if (top !== 0n && top !== 0x1ffffn) {
            throw new Error("the address is not canonical");
        }
        let table = this.root;
        for (let level = 3n; level >= 0n; level -= 1n) {
            const shift = 12n + 9n * level;
            const entry = this.physical(table + ((address >> shift) & 511n) * 8n, 8).readBigUInt64LE();
            if ((entry & PRESENT) === 0n) {
                throw new Error("Unable to read target memory");
            }
            const span = (1n << shift) - 1n;
            if (level === 0n || (level < 3n && (entry & LARGE) !== 0n)) {
                return (entry & FRAME & ~span) | (address & span);
            }
            table = entry & FRAME;
        }
        throw new Error("a page table without an end");
    }

    read(address, bytes) {
        this.reads += 1;
        const result = Buffer.alloc(bytes);
        for (let done = 0; done < bytes;) {
            const here = BigInt.asUintN(64, address + BigInt(done));
            const left = Number(PAGE - (here & (PAGE - 1n)));
            const part = Math.min(left, bytes - done);
            this.physical(this.translate(here), part).copy(result, done);
            done += part;
        }
        for (let place = 0; place < bytes; place += 1) {
            const byte = this.changed.get(BigInt.asUintN(64, address + BigInt(place)));
            if (byte !== undefined) {
                result[place] = byte;
            }
        }
        return result;
    }

    /// From now on there is something else there.
    change(address, bytes) {
        bytes.forEach((byte, place) => this.changed.set(address + BigInt(place), byte));
    }
}

/// Where an object is.
class Location {
    constructor(address) {
        this.address = address;
    }
    add(offset) { return new Location(this.address + Int64.of(offset).bits); }
    subtract(offset) { return new Location(this.address - Int64.of(offset).bits); }
}

function addressOf(place) {
    return place instanceof Location ? place.address : Int64.of(place).bits;
}

/// An object of the debugger: asking for what it has not is an error.
function strict(what, object) {
    return new Proxy(object, {
        get(target, name) {
            if (typeof name === "symbol" || name in target) {
                return target[name];
            }
            throw new Error(`${what} has no ${String(name)}`);
        },
    });
}

/// The types of a PDB.
class Types {
    constructor(description, constantsWithTypes) {
        this.description = description;
        this.constantsWithTypes = constantsWithTypes;
        this.made = new Map();
    }

    named(name) {
        const key = this.description.names[name];
        if (key === undefined) {
            throw new Error(`the module has no type ${name}`);
        }
        return this.type(key);
    }

    type(key) {
        const described = this.description.types[key];
        if (described === undefined) {
            throw new Error(`the PDB has no type number ${key}`);
        }
        if (described.same !== undefined) {
            return this.type(described.same);
        }
        if (described.forward !== undefined) {
            return this.named(described.forward);
        }
        if (!this.made.has(key)) {
            this.made.set(key, this.make(described));
        }
        return this.made.get(key);
    }

    make(described) {
        const types = this;
        const object = {
            name: described.name || described.kind,
            typeKind: described.kind,
            get size() {
                return Int64.of(described.kind === "enum" ? types.type(described.base).size : described.size);
            },
            get baseType() {
                return described.base === undefined
                    ? strict("a type", { name: described.to, size: Int64.of(0), typeKind: "intrinsic" })
                    : types.type(described.base);
            },
        };
        if (described.fields !== undefined) {
            const fields = {};
            for (const field of described.fields) {
                fields[field.name] = this.field(field);
            }
            object.fields = strict(`the type ${described.name}`, fields);
        }
        return strict("a type", object);
    }

    field(described) {
        const types = this;
        const object = { name: described.name };
        if (described.type !== undefined) {
            Object.defineProperty(object, "type", { get: () => types.type(described.type) });
        }
        if (described.kind === "member") {
            object.locationKind = "member";
            object.offset = Int64.of(described.offset);
        } else if (described.type === undefined || this.constantsWithTypes) {
            object.locationKind = "constant";
            object.value = Int64.of(described.value === null ? 0 : described.value);
        } else {
            // As far as is known, a debugger may do either.
            object.locationKind = "none";
        }
        return strict("a field", object);
    }

    /// The constants of a type as fields of an object of it.
    constantsOf(type) {
        const key = this.description.names[type.name];
        const found = {};
        for (const field of this.description.types[key].fields) {
            if (field.kind === "constant" && field.value !== null) {
                found[field.name] = Int64.of(field.value);
            }
        }
        return strict(`an object of ${type.name}`, found);
    }
}

/// Loads a script as `.scriptload` does; its commands, by name.
function load(script, machine) {
    const { memory, types, driver } = machine;
    const first = {
        Int64: function (value, top) {
            return top === undefined ? Int64.of(value)
                : Int64.of((BigInt(top >>> 0) << 32n) | BigInt(value >>> 0));
        },
        parseInt64: (text, radix) => Int64.of(radix === 16 ? `0x${text.replace(/^0x/, "")}` : text),
        apiVersionSupport: function (major, minor) { Object.assign(this, { major, minor }); },
        functionAlias: function (routine, name) { Object.assign(this, { routine, name }); },
        diagnostics: strict("host.diagnostics", { debugLog: () => undefined }),
    };
    const present = Object.assign({}, first);
    const host = strict("host", present);
    const context = vm.createContext({ host }, { codeGeneration: { strings: false, wasm: false } });
    const source = fs.readFileSync(script, "utf8");
    vm.runInContext(source, context, { filename: script });
    const registered = Array.from(vm.runInContext("initializeScript()", context));
    Object.assign(present, {
        getModuleType: (module, name) => {
            if (module !== "edu") {
                throw new Error(`there is no module ${module}`);
            }
            return types.named(name);
        },
        getModuleSymbol: (module, name, type) => {
            if (module !== "nt" || name !== "KiBugCheckData" || type !== "unsigned __int64"
                || machine.bugCheckData === undefined) {
                throw new Error(`there is no symbol ${module}!${name}`);
            }
            return strict("an object", { targetLocation: new Location(machine.bugCheckData) });
        },
        createTypedObject: (address, type) => {
            memory.read(Int64.of(address).bits, 1);
            return types.constantsOf(type);
        },
        memory: strict("host.memory", {
            readMemoryValues: (address, count, size, isSigned) => {
                if (isSigned || count * size > MOST_BYTES || !(count > 0)) {
                    throw new Error(`a read of ${count} values of ${size} bytes`);
                }
                const bytes = memory.read(addressOf(address), count * size);
                return Array.from({ length: count }, (_, index) => {
                    const place = index * size;
                    return size === 8 ? Int64.of(bytes.readBigUInt64LE(place)) : bytes.readUIntLE(place, size);
                });
            },
            readString: (address, length) => {
                if (!(length > 0 && length <= MOST_BYTES)) {
                    throw new Error(`a text of ${length} bytes`);
                }
                return memory.read(addressOf(address), length).toString("latin1");
            },
        }),
        namespace: strict("host.namespace", { Debugger: { Utility: { Control: {
            ExecuteCommand: (command) => (command === "!drvobj \\Driver\\edu"
                // As the page of `!drvobj` shows it.
                ? [`Driver object (${Int64.of(driver).bits.toString(16)}) is for:`, " \\Driver\\edu"]
                : [`${command} is no command`]),
        } } } }),
    });
    const commands = {};
    for (const object of registered) {
        if (object instanceof first.functionAlias) {
            // `!name`: letters and digits, for a dot would name a DLL.
            if (!/^[a-z][a-z0-9_]*$/.test(object.name)) {
                throw new Error(`${object.name} cannot be a command`);
            }
            commands[object.name] = object.routine;
        }
    }
    return commands;
}

module.exports = { Int64, Memory, Types, load };
