/**
 * A program that brings its own C library: so that `node` from our image runs on any host, whatever libraries that has
 * (an older glibc, musl, no libstdc++). The program is told by a few bytes to use the loader and the libraries that lie
 * beside it. Fields and their places: the System V ABI's "ELF" chapters, elf(5).
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

const interpreterHeader = 3; // PT_INTERP
const loadHeader = 1; // PT_LOAD
const dynamicHeader = 2; // PT_DYNAMIC
const neededTag = 1n; // DT_NEEDED
const stringsTag = 5n; // DT_STRTAB
const debugTag = 21n; // DT_DEBUG
const pathTags: readonly bigint[] = [15n, 29n]; // DT_RPATH, DT_RUNPATH

interface Header {
  /** Place of the header itself in the file. */
  readonly at: number;
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

interface Entry {
  readonly at: number;
  readonly tag: bigint;
  readonly value: bigint;
}

class Image {
  readonly #fd: number;
  readonly #path: string;
  readonly headers: readonly Header[];

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
    const start = this.read(0, 64);
    if (start.toString("latin1", 0, 6) !== "\x7fELF\x02\x01")
      throw new Error(`${path} is no 64-bit little-endian program`);
    const at = Number(start.readBigUInt64LE(0x20));
    const [size, count] = [start.readUInt16LE(0x36), start.readUInt16LE(0x38)];
    const table = this.read(at, size * count);
    this.headers = Array.from({ length: count }, (_, i) => ({
      at: at + i * size,
      type: table.readUInt32LE(i * size),
      offset: Number(table.readBigUInt64LE(i * size + 8)),
      address: table.readBigUInt64LE(i * size + 16),
      size: Number(table.readBigUInt64LE(i * size + 32)),
    }));
  }

  read(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (readSync(this.#fd, bytes, 0, length, at) !== length) throw new Error(`${this.#path} ends too soon`);
    return bytes;
  }

  header(type: number): Header | undefined {
    return this.headers.find((one) => one.type === type);
  }

  text(at: number): string {
    const bytes = Buffer.alloc(4096);
    const length = readSync(this.#fd, bytes, 0, bytes.length, at);
    return bytes.toString("utf8", 0, bytes.subarray(0, length).indexOf(0));
  }

  dynamic(): Entry[] {
    const header = this.header(dynamicHeader);
    if (header === undefined) return [];
    const table = this.read(header.offset, header.size);
    return Array.from({ length: Math.floor(header.size / 16) }, (_, i) => ({
      at: header.offset + i * 16,
      tag: table.readBigUInt64LE(i * 16),
      value: table.readBigUInt64LE(i * 16 + 8),
    }));
  }

  /** Where in the file an address of memory comes from. */
  offsetOf(address: bigint): number {
    const part = this.headers.find(
      (one) => one.type === loadHeader && one.address <= address && address < one.address + BigInt(one.size),
    );
    if (part === undefined) throw new Error(`${this.#path}: address ${address} is in no segment`);
    return part.offset + Number(address - part.address);
  }
}

function withImage<T>(path: string, flags: "r" | "r+", work: (image: Image, fd: number) => T): T {
  const fd = openSync(path, flags);
  try {
    return work(new Image(fd, path), fd);
  } finally {
    closeSync(fd);
  }
}

export interface Linkage {
  /** Path of the loader; null for programs that need none, and for libraries. */
  readonly interpreter: string | null;
  /** File names of the libraries that it asks for by itself. */
  readonly needed: readonly string[];
}

/** @throws Error when the file is no 64-bit little-endian ELF file */
export function readLinkage(path: string): Linkage {
  return withImage(path, "r", (image) => {
    const entries = image.dynamic();
    const strings = entries.find(({ tag }) => tag === stringsTag);
    const header = image.header(interpreterHeader);
    return {
      interpreter: header === undefined ? null : image.text(header.offset),
      needed: entries
        .filter(({ tag }) => tag === neededTag)
        .map(({ value }) => image.text(image.offsetOf((strings?.value ?? 0n) + value))),
    };
  });
}

/** The folder of the program itself, as ld.so(8) writes it. */
const ownFolder = "$ORIGIN\0";

/**
 * Makes the program at `path` load its libraries from its own folder, by the loader at `interpreter`. The kernel reads the
 * loader's path from the file, where a longer one fits at the end; the place in memory that held it is then free for the
 * libraries' path, and the entry for debuggers (DT_DEBUG) to point there: nothing is moved.
 * @throws Error when the program isn't linked as expected
 */
export function useOwnLibraries(path: string, interpreter: string): void {
  withImage(path, "r+", (image, fd) => {
    const header = image.header(interpreterHeader);
    const entries = image.dynamic();
    const strings = entries.find(({ tag }) => tag === stringsTag);
    const spare = entries.find(({ tag }) => tag === debugTag);
    if (header === undefined || strings === undefined || spare === undefined || header.size < ownFolder.length)
      throw new Error(`${path}: not linked in a way that is known here`);
    if (entries.some(({ tag }) => pathTags.includes(tag))) throw new Error(`${path} has a library path already`);
    const end = fstatSync(fd).size;
    const text = Buffer.from(`${interpreter}\0`);
    writeSync(fd, text, 0, text.length, end);
    const place = Buffer.alloc(8);
    place.writeBigUInt64LE(BigInt(end));
    writeSync(fd, place, 0, 8, header.at + 8); // p_offset
    place.writeBigUInt64LE(BigInt(text.length));
    writeSync(fd, place, 0, 8, header.at + 32); // p_filesz
    writeSync(fd, ownFolder, header.offset, "latin1");
    const entry = Buffer.alloc(16);
    entry.writeBigUInt64LE(pathTags[0]!); // unlike DT_RUNPATH it counts for libraries of libraries, and before LD_LIBRARY_PATH
    entry.writeBigUInt64LE(BigInt.asUintN(64, header.address - strings.value), 8);
    writeSync(fd, entry, 0, 16, spare.at);
  });
}
