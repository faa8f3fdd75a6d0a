"use strict";

// What edu.sys does, for WinDbg: `.scriptload edu.js`, then
//
//   !edu [address]           the devices: PnP, power, interrupt, engines, requests that wait
//   !edustats [address]      the counters
//   !eduring [address, n]    the last n records of the flight recorder; `dx -g @$eduring()`
//   !eduirp [address]        the requests that the driver has
//   !edubugcheck [code, p1, p2, p3, p4]   why the driver stopped the machine, and where
//   !dirql [address]         what tokens protect in a device, and whether somebody has it
//
// An address is that of a device object or of the driver object; without one the driver
// \Driver\edu is looked for. (`!edu.stats` cannot be a name: to WinDbg that is the command
// `stats` of a DLL named `edu`.)
//
// Everything is read as edu.pdb says, by the names of types, fields and variants, so the symbols
// must be those of the driver that is loaded; no offset is written down here. It is one file,
// because a script of the debugger has no way to load another. What is read is
// not believed: lists may loop and counts may lie in a machine that has crashed, so each way
// through memory has a bound, and where it ends early that is said.

/// The module's name in the debugger.
const MODULE = "edu";
const DRIVER_NAME = "\\Driver\\edu";
const DEVICE = "dirql::device::Device<edu::Edu>";
const CONTROLLER = "edu_controller::controller::Controller<";
const KERNEL = "wdk_sys::types::bindings::";
/// `IO_TYPE_DEVICE` and `IO_TYPE_DRIVER`.
const IO_TYPE_DEVICE = 3;
const IO_TYPE_DRIVER = 4;
/// Longest list that is followed, and most devices of a driver.
const MOST_IRPS = 1024;
const MOST_DEVICES = 32;
/// Most slots of a flight recorder, and how many records are shown without being asked for.
const MOST_SLOTS = 65536;
const SHOWN_RECORDS = 32;
/// How deep a value is shown, and of how many parts.
const DEEPEST = 12;
const MOST_PARTS = 300;
const SHOWN_ELEMENTS = 8;

/// `RecordKind` and `Section` of the driver's interface, from 1; a record has their numbers.
const KINDS = ["Isr", "CriticalSection", "StartIo", "DpcForIsr", "CustomDpc", "AdapterControl",
    "Timer", "Cancel", "Completion"];
const SECTIONS = ["StartIo", "DpcForIsr", "CustomDpc", "AdapterControl", "Timer", "Dispatch",
    "Cancel", "Pnp", "Power"];
/// Words of a slot beside its number, and bytes of a word.
const SLOT_WORDS = 3;
const WORD = 8;
/// Bug checks of a panic, as wdk-panic reports it, and of dirql: `RPNC` and `DRQL`.
const PANIC = 0x52504e43;
const BROKEN = 0x4452514c;
/// Longest name of a source file, and where the build says that it was.
const LONGEST_NAME = 1024;
const SOURCES = "/dirql/";
/// The stages of an interrupt, by number.
const STAGES = ["disconnected", "connected", "suspended", "being moved"];
/// `IRP_MJ_*` of the requests that the driver keeps.
const MAJOR = { 3: "READ", 4: "WRITE", 14: "DEVICE_CONTROL" };

function initializeScript() {
    return [
        new host.apiVersionSupport(1, 3),
        new host.functionAlias(showDevices, "edu"),
        new host.functionAlias(showCounters, "edustats"),
        new host.functionAlias(showRecords, "eduring"),
        new host.functionAlias(showRequests, "eduirp"),
        new host.functionAlias(showBugCheck, "edubugcheck"),
        new host.functionAlias(showProtected, "dirql"),
    ];
}

// 64-bit values. They are objects, and as numbers they would lose digits.

function wide(value) {
    return typeof value === "number"
        ? new host.Int64(value >>> 0, Math.floor(value / 0x100000000) >>> 0)
        : value;
}

function high(value) {
    return wide(value).getHighPart() >>> 0;
}

function low(value) {
    return wide(value).getLowPart() >>> 0;
}

function isSame(one, other) {
    return high(one) === high(other) && low(one) === low(other);
}

function isLess(one, other) {
    return high(one) < high(other) || (high(one) === high(other) && low(one) < low(other));
}

function isZero(value) {
    return high(value) === 0 && low(value) === 0;
}

/// As a number, where the number of something must be small; an error otherwise.
function small(value, most, what) {
    if (high(value) !== 0 || low(value) > most) {
        throw new Error(`${what} is ${hex(value)}, and ${most} is the most that can be: the memory `
            + "is overwritten, or edu.pdb is of another build.");
    }
    return low(value);
}

function hex(value) {
    const digits = high(value) === 0 ? low(value).toString(16)
        : high(value).toString(16) + ("0000000" + low(value).toString(16)).slice(-8);
    return "0x" + digits;
}

/// Decimal as long as that is exact.
function decimal(value) {
    return high(value) < 0x200000 ? String(high(value) * 0x100000000 + low(value)) : hex(value);
}

// Types and places.

/// A typed place in memory.
class Place {
    constructor(type, address) {
        this.type = type;
        this.address = wide(address);
    }
}

function typeNamed(name) {
    let type;
    try {
        type = host.getModuleType(MODULE, name);
    } catch (error) {
        type = undefined;
    }
    if (type === undefined || type === null) {
        throw new Error(`there is no type ${name}: is edu.sys loaded, and edu.pdb, of the same `
            + "build, in the symbol path? `.reload /f edu.sys` and `lm v m edu` say.");
    }
    return type;
}

/// A field of a type; undefined if there is none.
function fieldOf(type, name) {
    try {
        const field = type.fields[name];
        return field === null ? undefined : field;
    } catch (error) {
        return undefined;
    }
}

/// Fields in memory that are not empty.
function membersOf(type) {
    const names = Object.getOwnPropertyNames(type.fields);
    return names.map((name) => fieldOf(type, name))
        .filter((field) => field !== undefined && field.locationKind === "member")
        .filter((field) => !isZero(field.type.size));
}

function isEnum(type) {
    return type.name.startsWith("enum2$<") && fieldOf(type, "variant0") !== undefined;
}

/// What a type that only wraps one thing has inside; undefined for others.
function inside(place) {
    if (place.type.typeKind !== "udt" || isEnum(place.type)) {
        return undefined;
    }
    const members = membersOf(place.type);
    if (members.length === 1) {
        return new Place(members[0].type, place.address.add(members[0].offset));
    }
    // Kernel structures keep the lock beside what it protects.
    const data = fieldOf(place.type, "data");
    return data !== undefined && place.type.name.startsWith("dirql::spin_lock::")
        ? new Place(data.type, place.address.add(data.offset))
        : undefined;
}

/// The place of a field; through whatever is wrapped around it on the way.
function at(place, path) {
    for (const name of path.split(".")) {
        let here = place;
        for (let depth = 0; fieldOf(here.type, name) === undefined; depth += 1) {
            const next = depth < DEEPEST ? inside(here) : undefined;
            if (next === undefined) {
                throw new Error(`${place.type.name} has no field ${name}: edu.js and edu.pdb are `
                    + "of different releases.");
            }
            here = next;
        }
        const field = fieldOf(here.type, name);
        place = new Place(field.type, here.address.add(field.offset));
    }
    return place;
}

/// The part of a value whose type's name begins so.
function part(place, name, depth) {
    if (place.type.name.startsWith(name)) {
        return place;
    }
    if (depth > DEEPEST || place.type.typeKind !== "udt" || isEnum(place.type)) {
        return undefined;
    }
    for (const field of membersOf(place.type)) {
        const inner = new Place(field.type, place.address.add(field.offset));
        const found = part(inner, name, depth + 1);
        if (found !== undefined) {
            return found;
        }
    }
    return undefined;
}

/// `count` elements of `size` bytes, without a sign.
function read(address, count, size) {
    try {
        return host.memory.readMemoryValues(address, count, size, false);
    } catch (error) {
        throw new Error(`${hex(address)} cannot be read (${error.message}): it is not in the dump, or `
            + "what points there is overwritten.");
    }
}

/// A number, a pointer or an enumerator's value, through whatever is wrapped around it.
function value(place) {
    for (let depth = 0; depth < DEEPEST; depth += 1) {
        const next = inside(place);
        if (next === undefined) {
            const size = small(place.type.size, WORD, `the size of ${place.type.name}`);
            return read(place.address, 1, size)[0];
        }
        place = next;
    }
    throw new Error(`${place.type.name} is wrapped too deep.`);
}

function isTrue(place) {
    return low(value(place)) !== 0;
}

/// What a pointer points to; undefined for NULL.
function behind(place) {
    for (let next = place; next !== undefined; next = inside(next)) {
        place = next;
    }
    if (place.type.typeKind !== "pointer") {
        throw new Error(`${place.type.name} is no pointer.`);
    }
    const address = value(place);
    return isZero(address) ? undefined : new Place(place.type.baseType, address);
}

/// A constant of a variant. A debugger that does not give it with the type gives it with the
/// object.
function constant(place, name) {
    const field = fieldOf(place.type, name);
    if (field === undefined) {
        return undefined;
    }
    return field.locationKind === "constant"
        ? field.value
        : host.createTypedObject(place.address, place.type)[name];
}

/// The variant that an enum is: its name, and the place of what is in it. Rust writes a union of
/// `variant0`, `variant1`, ..., each with the value, or the values, of `tag` that stand for it.
function variant(place) {
    const tagField = fieldOf(place.type, "tag");
    const tag = tagField === undefined
        ? undefined
        : value(new Place(tagField.type, place.address.add(tagField.offset)));
    for (let index = 0; ; index += 1) {
        const field = fieldOf(place.type, `variant${index}`);
        if (field === undefined) {
            throw new Error(`the ${place.type.name} at ${hex(place.address)} has the tag `
                + `${tag === undefined ? "none" : hex(tag)}, which none of its variants has: it is `
                + "overwritten, or not initialised yet.");
        }
        const found = new Place(field.type, place.address.add(field.offset));
        if (tag === undefined || isOf(found, tag)) {
            const content = at(found, "value");
            const name = content.type.name;
            return { name: name.slice(name.lastIndexOf("::") + 2), content };
        }
    }
}

/// Whether a variant is the one with this tag. A range may go round at the end of the numbers.
function isOf(found, tag) {
    const exact = constant(found, "DISCR_EXACT");
    if (exact !== undefined) {
        return isSame(exact, tag);
    }
    const begin = constant(found, "DISCR_BEGIN");
    const end = constant(found, "DISCR_END");
    if (begin === undefined || end === undefined) {
        return false;
    }
    const behindBegin = !isLess(tag, begin);
    const beforeEnd = !isLess(end, tag);
    return isLess(end, begin) ? behindBegin || beforeEnd : behindBegin && beforeEnd;
}

/// What an Option has, or undefined.
function some(place) {
    for (let next = inside(place); next !== undefined && !isEnum(place.type);) {
        place = next;
        next = inside(place);
    }
    const found = variant(place);
    return found.name === "Some" ? at(found.content, "__0") : undefined;
}

/// A value in Rust's own way to write it, whatever its type is.
function text(place, budget, depth) {
    const left = budget || { parts: MOST_PARTS };
    const deep = depth || 0;
    left.parts -= 1;
    if (left.parts < 0 || deep > DEEPEST) {
        return "...";
    }
    const type = place.type;
    if (isEnum(type)) {
        const found = variant(place);
        return found.name + contents(found.content, left, deep + 1, "");
    }
    if (type.typeKind === "array") {
        return elements(place, left, deep + 1);
    }
    if (type.typeKind !== "udt") {
        return scalar(place);
    }
    const next = inside(place);
    if (next !== undefined) {
        return text(next, left, deep + 1);
    }
    return contents(place, left, deep, "()");
}

function contents(place, left, deep, nothing) {
    const members = membersOf(place.type);
    if (members.length === 0) {
        return nothing;
    }
    const isTuple = members.every((field) => /^__\d+$/.test(field.name));
    const parts = members.map((field) => {
        const inner = text(new Place(field.type, place.address.add(field.offset)), left, deep + 1);
        return isTuple ? inner : `${field.name}: ${inner}`;
    });
    return isTuple ? `(${parts.join(", ")})` : ` { ${parts.join(", ")} }`;
}

function elements(place, left, deep) {
    const size = place.type.baseType.size;
    const count = isZero(size) ? 0 : low(wide(place.type.size).divide(size));
    const shown = [];
    for (let index = 0; index < Math.min(count, SHOWN_ELEMENTS); index += 1) {
        const offset = wide(size).multiply(index);
        shown.push(text(new Place(place.type.baseType, place.address.add(offset)), left, deep));
    }
    return `[${shown.join(", ")}${count > SHOWN_ELEMENTS ? `, ... of ${count}` : ""}]`;
}

function scalar(place) {
    const number = value(place);
    if (place.type.typeKind === "pointer") {
        return hex(number);
    }
    if (place.type.typeKind === "enum") {
        return enumerator(place.type, number) || decimal(number);
    }
    return place.type.name === "bool" ? String(low(number) !== 0) : decimal(number);
}

/// The name of an enumerator; undefined if no one has this number.
function enumerator(type, number) {
    return Object.getOwnPropertyNames(type.fields)
        .find((name) => isSame(type.fields[name].value, number));
}

// Devices.

/// The devices that an address, or nothing, stands for.
function devices(argument) {
    const address = argument === undefined ? driverObject() : wide(argument);
    const kind = low(value(at(new Place(typeNamed(KERNEL + "_DEVICE_OBJECT"), address), "Type")));
    if (kind === IO_TYPE_DEVICE) {
        return [device(address)];
    }
    if (kind !== IO_TYPE_DRIVER) {
        throw new Error(`${hex(address)} is neither a device object nor a driver object; \`!drvobj `
            + `${DRIVER_NAME}\` has both.`);
    }
    const found = [];
    const driver = new Place(typeNamed(KERNEL + "_DRIVER_OBJECT"), address);
    let next = value(at(driver, "DeviceObject"));
    while (!isZero(next)) {
        if (found.length === MOST_DEVICES) {
            throw new Error(`the driver object ${hex(address)} has more than ${MOST_DEVICES} devices: `
                + "their list is overwritten.");
        }
        found.push(device(next));
        const object = new Place(typeNamed(KERNEL + "_DEVICE_OBJECT"), next);
        next = value(at(object, "NextDevice"));
    }
    return found;
}

/// The driver object, as the debugger's own command finds it.
function driverObject() {
    const lines = host.namespace.Debugger.Utility.Control.ExecuteCommand(`!drvobj ${DRIVER_NAME}`);
    for (const line of lines) {
        const found = /Driver object \(([0-9a-fA-F`]+)\)/.exec(String(line));
        if (found !== null) {
            return host.parseInt64(found[1].replace("`", ""), 16);
        }
    }
    throw new Error(`the debugger finds no driver ${DRIVER_NAME}: is it loaded? Otherwise give the `
        + "address of its device object.");
}

/// The `Device` of a device object.
function device(address) {
    const object = new Place(typeNamed(KERNEL + "_DEVICE_OBJECT"), address);
    const extension = value(at(object, "DeviceExtension"));
    if (isZero(extension)) {
        throw new Error(`the device object ${hex(address)} has no extension: it is no device of edu.sys.`);
    }
    const found = new Place(typeNamed(DEVICE), extension);
    if (!isSame(value(at(found, "header.object")), address)
        || !isSame(value(at(found, "header.length")), found.type.size)) {
        throw new Error(`the extension of the device object ${hex(address)} is not that of a device of `
            + "edu.sys, or edu.pdb is of another build.");
    }
    return { address: wide(address), object, place: found };
}

function interruptOf(found) {
    return at(found.place, "extension.interrupt");
}

/// The controller, which is there from start to stop; undefined otherwise.
function controllerOf(found) {
    const stage = low(value(at(interruptOf(found), "stage")));
    return stage === 0 || stage >= STAGES.length
        ? undefined
        : part(at(interruptOf(found), "state"), CONTROLLER, 0);
}

/// One device shows itself, several show as a list.
function each(argument, show) {
    const found = devices(argument).map(show);
    return found.length === 1 ? found[0] : found;
}

function showDevices(argument) {
    return each(argument, (found) => {
        const state = controllerOf(found);
        const connection = some(at(interruptOf(found), "connection"));
        const irps = requests(found);
        return {
            device: hex(found.address),
            extension: hex(found.place.address),
            pnp: pnp(found),
            power: power(found),
            interrupt: connection === undefined ? "none" : text(at(connection, "info")),
            stage: STAGES[low(value(at(interruptOf(found), "stage")))] || "overwritten",
            engine: state === undefined ? "no controller" : text(at(state, "engine")),
            dma: state === undefined ? "no controller" : text(at(state, "dma")),
            begun: begun(found),
            turn: text(at(found.place, "extension.transfers.turn")),
            requests: irps.length,
        };
    });
}

/// The PnP state: a number, whose names are those of a type of their own.
function pnp(found) {
    const number = value(at(found.place, "header.state.now"));
    return enumerator(typeNamed("dirql::pnp::State"), number) || `overwritten (${decimal(number)})`;
}

function power(found) {
    const record = at(found.place, "header.power");
    const now = isTrue(at(record, "asleep")) ? "asleep" : "awake";
    return isTrue(at(record, "changing")) ? `${now}, changing` : now;
}

/// When the operation under way was begun. Nothing but the flight recorder knows.
function begun(found) {
    const ring = recorder(found);
    if (!isTrue(at(ring, "on"))) {
        return "not recorded: the flight recorder is off";
    }
    const kept = records(found, MOST_SLOTS);
    const last = kept.reverse().find((record) => record.kind === "StartIo");
    return last === undefined
        ? "before the oldest record"
        : `the last StartIo was record ${last.number}, at stamp ${last.start}, on processor ${last.processor}`;
}

function showCounters(argument) {
    return each(argument, (found) => {
        // Of a device that sleeps they are with what was saved, of one that is stopped with
        // what is kept.
        const saved = some(at(interruptOf(found), "saved"));
        const state = controllerOf(found);
        const place = saved !== undefined ? at(saved, "counters")
            : state !== undefined ? at(state, "counters")
                : at(found.place, "extension.kept.counters");
        const counters = {};
        for (const field of membersOf(place.type)) {
            counters[field.name] = decimal(value(at(place, field.name)));
        }
        return counters;
    });
}

// The flight recorder.

function recorder(found) {
    return at(behind(at(found.place, "extension.recorder.block")), "value");
}

function showRecords(argument, count) {
    const shown = count === undefined ? SHOWN_RECORDS : small(count, MOST_SLOTS, "the number of records");
    return each(argument, (found) => records(found, shown));
}

/// The last `most` records, the oldest first. One that is being written is left out.
function records(found, most) {
    const ring = recorder(found);
    const slots = at(ring, "slots");
    const length = small(value(at(slots, "length")), MOST_SLOTS, "the number of slots");
    const block = some(at(slots, "block"));
    const first = block === undefined ? undefined : behind(block);
    if (first === undefined || length === 0) {
        return [];
    }
    const size = small(first.type.size, 4096, "the size of a slot");
    const versionAt = at(first, "version").address.subtract(first.address);
    const wordsAt = at(first, "words").address.subtract(first.address);
    const next = value(at(ring, "next"));
    const all = [];
    const count = high(next) === 0 ? Math.min(low(next), length, most) : Math.min(length, most);
    for (let back = count; back > 0; back -= 1) {
        const number = next.subtract(back);
        // The length is a power of two, and the number of a slot less than it.
        const slot = first.address.add((low(number) & (length - 1)) * size);
        const version = read(slot.add(versionAt), 1, WORD)[0];
        // Its turn in the slot is one round later than its number.
        const turn = number.add(length);
        if (!isSame(version, turn.add(turn).add(2))) {
            continue;
        }
        all.push(record(number, read(slot.add(wordsAt), SLOT_WORDS * 2, 4)));
    }
    return all;
}

/// A record of its words, which are read as pairs of halves.
function record(number, [startLow, startHigh, waited, duration, detail, what]) {
    const kind = (what >>> 16) & 0xff;
    const section = what >>> 24;
    return {
        number: decimal(number),
        start: decimal(new host.Int64(startLow, startHigh)),
        waited,
        duration,
        processor: what & 0xffff,
        kind: KINDS[kind - 1] || `kind ${kind}`,
        section: section === 0 ? "" : SECTIONS[section - 1] || `section ${section}`,
        detail: hex(detail),
    };
}

// Requests.

function showRequests(argument) {
    return each(argument, requests);
}

/// The IRPs that the driver has: those that wait, and those that the engines work on.
function requests(found) {
    const lists = [
        ["StartIo's queue", "header.packets.waiting.content.list"],
        ["reads and writes", "extension.transfers.waiting.content.list"],
        ["waits for events", "extension.events.waiting.content.list"],
    ];
    const all = [];
    const current = value(at(found.object, "CurrentIrp"));
    if (!isZero(current)) {
        all.push(irp(current, "StartIo's current"));
    }
    for (const [where, path] of lists) {
        follow(at(found.place, path), where, all);
    }
    return all;
}

/// Follows a list of `dirql`, whose links are the IRPs' own.
function follow(list, where, all) {
    const type = typeNamed(KERNEL + "_IRP");
    const link = at(new Place(type, 0), "Tail.Overlay.__bindgen_anon_2.ListEntry");
    let next = value(at(list, "first"));
    for (let count = 0; !isZero(next); count += 1) {
        if (count === MOST_IRPS) {
            all.push({ irp: hex(next), where, request: `the list goes on after ${MOST_IRPS}: it loops` });
            return;
        }
        all.push(irp(next, where));
        const entry = value(at(new Place(link.type, next.add(link.address)), "Flink"));
        next = isZero(entry) ? entry : entry.subtract(link.address);
    }
}

function irp(address, where) {
    const place = new Place(typeNamed(KERNEL + "_IRP"), address);
    const anonymous = "Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation";
    const location = behind(at(place, anonymous));
    const shown = { irp: hex(address), where, request: "no stack location" };
    if (location !== undefined) {
        const major = low(value(at(location, "MajorFunction")));
        shown.request = MAJOR[major] || `major function ${major}`;
        if (major === 14) {
            const code = at(location, "Parameters.DeviceIoControl.IoControlCode");
            shown.request += ` ${hex(value(code))}`;
        }
        shown.file = hex(value(at(location, "FileObject")));
    }
    shown.cancelled = isTrue(at(place, "Cancel"));
    return shown;
}

// Bug checks.

/// That of the machine, or the one that is given.
function showBugCheck(...given) {
    if (given.length !== 0 && given.length !== 5) {
        throw new Error("a bug check is a code and four parameters; without any, it is the machine's.");
    }
    const [code, first, second, third, fourth] = given.length === 0 ? bugCheckData() : given.map(wide);
    const shown = { code: hex(code) };
    if (high(code) === 0 && low(code) === BROKEN) {
        shown.cause = "an invariant of dirql was broken";
        shown.reason = enumerator(typeNamed("dirql::stop_code::Reason"), first)
            || `${decimal(first)}, which this build does not have`;
        shown.about = hex(second);
    } else if (high(code) === 0 && low(code) === PANIC) {
        shown.cause = "the driver panicked";
        shown.place = `${sourceName(first, second)}:${decimal(third)}:${decimal(fourth)}`;
    } else {
        shown.cause = "none of edu.sys: `!analyze -v` explains it";
    }
    return shown;
}

/// What the kernel keeps of a bug check: the code and the parameters.
function bugCheckData() {
    let data;
    try {
        data = host.getModuleSymbol("nt", "KiBugCheckData", "unsigned __int64").targetLocation;
    } catch (error) {
        throw new Error("nt!KiBugCheckData is not to be found: give the code and the parameters.");
    }
    const found = Array.from(host.memory.readMemoryValues(data, 5, WORD, false));
    if (isZero(found[0])) {
        throw new Error("the machine has had no bug check.");
    }
    return found;
}

/// The name of a source file in the image.
function sourceName(address, length) {
    const bytes = small(length, LONGEST_NAME, "the length of the file's name");
    if (bytes === 0) {
        return "an unknown file";
    }
    try {
        const name = host.memory.readString(address, bytes);
        return name.startsWith(SOURCES) ? name.slice(SOURCES.length) : name;
    } catch (error) {
        return `the file whose name is at ${hex(address)}, which is not in the dump`;
    }
}

// What tokens protect.

function showProtected(argument) {
    return each(argument, (found) => {
        const interrupt = interruptOf(found);
        const stage = low(value(at(interrupt, "stage")));
        const spin = (path) => {
            const lock = at(found.place, path);
            return {
                token: "Dispatch",
                object: path,
                lock: isZero(value(at(lock, "lock"))) ? "free" : "held",
            };
        };
        return [
            {
                token: "Dirql",
                object: "extension.interrupt",
                lock: `${STAGES[stage] || "overwritten"}, ${decimal(value(at(interrupt, "access.inside")))} `
                    + "in synchronize or on the way",
            },
            spin("header.packets.hold"),
            spin("header.packets.waiting.content"),
            spin("header.irp_holders.content"),
            spin("extension.kept"),
            spin("extension.events.log"),
            spin("extension.transfers.turn"),
            {
                token: "Passive",
                object: "header.remove_lock",
                lock: `${decimal(value(at(found.place, "header.remove_lock.Common.IoCount")))} references`,
            },
        ];
    });
}
