// Runs the debugger extension on a machine that was stopped, and prints what its commands return:
//
//     node run.js EXTENSION FOLDER
//
// FOLDER has `memory` (all of its memory), `types.json` and `machine.json` (the root of its page
// tables, its driver object). Each command runs twice, as a debugger gives the constants of types
// in one of two ways, and then on memory that was overwritten, where it must end, and say in a
// sentence what is wrong.

"use strict";

const fs = require("fs");
const path = require("path");
const { Int64, Memory, Types, load } = require("./debugger.js");

/// Machines that are overwritten, and of how many of their words one is.
const OVERWRITTEN = 60;
const ONE_OF = 40;
/// Most reads that a command may make.
const MOST_READS = 400000;

const [, , extension, folder] = process.argv;
const types = JSON.parse(fs.readFileSync(path.join(folder, "types.json"), "utf8"));
const machine = JSON.parse(fs.readFileSync(path.join(folder, "machine.json"), "utf8"));

function commands(memory, constantsWithTypes, bugCheckData) {
    return load(extension, {
        memory,
        bugCheckData,
        types: new Types(types, constantsWithTypes),
        driver: BigInt(machine.driver),
    });
}

function memory() {
    return new Memory(path.join(folder, "memory"), machine.root);
}

/// A sequence of numbers that looks like chance, from a seed.
function chance(seed) {
    let state = seed >>> 0;
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 8;
    };
}

/// Where a field lies in a type, by the names on the way.
function offsetOf(type, names) {
    let offset = 0n;
    for (const name of names.split(".")) {
        const field = type.fields[name];
        offset += field.offset.bits;
        type = field.type;
    }
    return offset;
}

const answers = {};
for (const constantsWithTypes of [true, false]) {
    const loaded = commands(memory(), constantsWithTypes);
    for (const name of Object.keys(loaded).filter((name) => name !== "edubugcheck")) {
        const all = name === "eduring" ? [undefined, 2048] : [];
        const answer = JSON.parse(JSON.stringify(loaded[name](...all)));
        if (answers[name] !== undefined && JSON.stringify(answers[name]) !== JSON.stringify(answer)) {
            throw new Error(`!${name} says something else when constants come with the object`);
        }
        answers[name] = answer;
    }
}

// The same commands on the device that the first one has named.
const device = BigInt((Array.isArray(answers.edu) ? answers.edu[0] : answers.edu).device);
for (const [name, command] of Object.entries(commands(memory(), true))) {
    if (name === "edubugcheck") {
        continue;
    }
    const answer = command(Int64.of(device));
    if (name !== "eduring" && Array.isArray(answers.edu) === false
        && JSON.stringify(answer) !== JSON.stringify(answers[name])) {
        throw new Error(`!${name} says something else of the device object`);
    }
}

// A list that loops, a device that is none, no memory at all.
const looping = memory();
const irps = answers.eduirp.filter((irp) => irp.where !== "StartIo's current");
const told = {};
if (irps.length > 0) {
    const address = BigInt(irps[0].irp);
    const irp = new Types(types, true).named("wdk_sys::types::bindings::_IRP");
    const entry = address + offsetOf(irp, "Tail.Overlay.__bindgen_anon_2.ListEntry.Flink");
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(entry);
    looping.change(entry, bytes);
    const found = commands(looping, true).eduirp();
    told.loop = found.map((irp) => irp.request).find((request) => /loops/.test(request));
}
for (const [what, address] of [["nowhere", 0x1000n], ["no object", device + 8n]]) {
    try {
        commands(memory(), true).edu(Int64.of(address));
        throw new Error(`${what} is taken for a device`);
    } catch (error) {
        sentence(error);
        told[what] = error.message;
    }
}

// Bug checks: the machine's own, and those that are given.
const FILE = "/dirql/driver/edu/src/bar.rs";
const crashed = memory();
const words = Buffer.alloc(40);
[0x52504e43n, device + 40n, BigInt(FILE.length), 7n, 12n]
    .forEach((word, place) => words.writeBigUInt64LE(word, place * 8));
crashed.change(device, Buffer.concat([words, Buffer.from(FILE)]));
const bugcheck = commands(crashed, true, device).edubugcheck;
told.panic = bugcheck().place;
told.invariant = bugcheck(0x4452514c, 2, Int64.of(device), 0, 0).reason;
told.another = bugcheck(0xd1, 0, 0, 0, 0).cause;
told.unreadable = bugcheck(0x52504e43, 0x1000, 9, 7, 12).place;

function sentence(error) {
    if (!/^[^\n]{20,}\.$/.test(error.message) && !/ say\.$/.test(error.message)) {
        throw new Error(`this is no sentence: ${error.stack}`);
    }
}

// Overwritten memory: whatever a command reads may be something else.
let ended = 0;
for (let seed = 1; seed <= OVERWRITTEN; seed += 1) {
    const broken = memory();
    const next = chance(seed);
    const read = broken.read.bind(broken);
    broken.read = (address, bytes) => {
        if (broken.reads > MOST_READS) {
            throw new Error("BOUND");
        }
        const result = read(address, bytes);
        if (next() % ONE_OF === 0) {
            result[next() % bytes] ^= 1 << next() % 8;
        }
        return result;
    };
    const loaded = commands(broken, true);
    for (const [name, command] of Object.entries(loaded)) {
        broken.reads = 0;
        try {
            command();
        } catch (error) {
            ended += 1;
            sentence(error);
        }
        if (broken.reads > MOST_READS) {
            throw new Error(`!${name} reads without end when memory is overwritten (${seed})`);
        }
    }
}
if (ended < OVERWRITTEN) {
    throw new Error(`only ${ended} commands noticed overwritten memory`);
}
process.stdout.write(JSON.stringify({ answers, told, noticed: ended }) + "\n");
