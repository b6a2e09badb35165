import { isRegular } from '../../image/cpio/header.js';
import { canonicalPath, joinPath, pathToText } from '../../image/cpio/path.js';
import type { PlacedEntry } from '../../image/archive-index.js';
import type { OpenArchive } from '../contents.js';
import { PATH } from './contained.js';

/** Bytes of a program in which its interpreter is looked for: linkers put it behind the headers. */
const HEAD = 64 << 10;

/**
 * Why a shell gave status 127 for the program `name` of an image, as it was before the command: the program is not there, the
 * interpreter it needs is not, or something that it ran itself.
 */
export async function whyNotRun(name: string, image: OpenArchive): Promise<string> {
  const found = programOf(name, image);
  if (found === undefined) return `there is no ${name} in the image`;
  const interpreter = interpreterOf(await headOf(found, image));
  if (interpreter !== undefined && image.tree.seek(canonicalPath(interpreter)) === undefined) {
    return `${pathToText(found.path)} is in the image, and ${interpreter}, which it is run by, is not`;
  }
  return 'a program that it runs is not in the image';
}

function programOf(name: string, { tree }: OpenArchive): PlacedEntry | undefined {
  const latin1 = Buffer.from(name).toString('latin1');
  const places = name.includes('/')
    ? [canonicalPath(latin1)]
    : PATH.split(':').map((directory) => joinPath(canonicalPath(directory), latin1));
  for (const place of places) {
    const entry = tree.seek(place);
    if (entry !== undefined && isRegular(entry.header.mode)) return entry;
  }
  return undefined;
}

async function headOf(entry: PlacedEntry, image: OpenArchive): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of image.read(entry)) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= HEAD) break;
  }
  return Buffer.concat(chunks).subarray(0, HEAD);
}

/** What the kernel starts in a program's place (execve(2)): of a script, what `#!` names; of an ELF file, its PT_INTERP. */
function interpreterOf(head: Buffer): string | undefined {
  const script = /^#![ \t]*([^ \t\n]+)/.exec(head.toString('latin1', 0, 256));
  if (script !== null) return script[1];
  return elfInterpreter(head);
}

const ELF_MAGIC = '\x7fELF';
const PT_INTERP = 3;

/** The path in an ELF file's PT_INTERP (elf(5)), of little-endian files; undefined when it has none within `head`. */
function elfInterpreter(head: Buffer): string | undefined {
  if (head.length < 64 || head.toString('latin1', 0, 4) !== ELF_MAGIC || head[5] !== 1) return undefined;
  const is64 = head[4] === 2;
  const word = (at: number): number => (is64 ? Number(head.readBigUInt64LE(at)) : head.readUInt32LE(at));
  const table = word(is64 ? 0x20 : 0x1c);
  const size = head.readUInt16LE(is64 ? 0x36 : 0x2a);
  const count = head.readUInt16LE(is64 ? 0x38 : 0x2c);
  for (let number = 0; number < count; number++) {
    const at = table + number * size;
    if (at + 40 > head.length) return undefined;
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const start = word(at + (is64 ? 8 : 4));
    const end = start + word(at + (is64 ? 32 : 16));
    return end > head.length ? undefined : head.toString('latin1', start, end).replace(/\0.*$/s, '');
  }
  return undefined;
}
