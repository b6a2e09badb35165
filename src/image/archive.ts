import type { Digest } from '../store/digest.js';
import type { ExtentMap, Part } from '../store/extents.js';
import { codecOf, type CodecName } from './codec.js';
import { padding4, type CpioHeader } from './cpio/header.js';
import { ImageError } from './errors.js';
import type { TarFacts } from './tar/header.js';
import type { WholeCodec } from './whole/codecs.js';

/** A run of an archive's plain bytes, compressed on its own. */
export interface Segment {
  /** `entries` holds whole or parts of entries, `tail` a trailer and zeros after it, `zeros` only zeros. */
  readonly kind: 'entries' | 'tail' | 'zeros';
  readonly blob: Digest; // the stored bytes
  readonly stored: number; // bytes in the blob
  readonly plain: number; // bytes before compression
  readonly check: number; // CRC-32 of the plain bytes
  readonly blocks?: readonly number[]; // bzip2: the CRC of each block that the segment is made of
  /** Blob with the index of the entries whose headers lie in this segment; null when there are none. */
  readonly index: Digest | null;
  /** SHA-256 of the plain bytes, on segments that an edit wrote: how a later edit finds them again. */
  readonly source?: Digest;
}

/** A compressed stream as it is served, all of it one blob. */
export interface WholeStream {
  readonly blob: Digest;
  readonly size: number; // bytes
}

/** What a frame is served as, when its compression cannot be cut into segments. */
export interface Whole {
  readonly codec: WholeCodec | 'squashfs'; // what an edit compresses it with again
  readonly streams: readonly WholeStream[]; // one, or as many as the vendor made of one archive
  readonly head?: Buffer; // of a squashfs: its superblock and compressor options, as it was found
}

/** One compressed stream (or one plain run) of an archive file. The kernel unpacks frames one after another. */
export interface Frame {
  readonly codec: CodecName;
  readonly prologue: Buffer; // the stream's header, or the first of plain zeros, as it was found
  readonly segments: readonly Segment[];
  readonly format?: 'tar'; // of its archives; cpio when it is not said
  /** Served instead of prologue and segments, which then only keep the plain bytes. */
  readonly whole?: Whole;
}

/** An archive file as rackboot keeps it: what it is made of, down to where every entry lies. */
export interface ArchiveDescriptor {
  readonly frames: readonly Frame[];
}

/** An entry as a segment's index lists it. */
export interface IndexedEntry {
  readonly header: CpioHeader;
  readonly rawName: string; // latin-1
  readonly at: number; // offset of the header in the segment's plain bytes
  readonly target?: string; // of a symbolic link, latin-1
  readonly tar?: TarFacts; // in a tar archive
}

/** The order in which descriptors number the kinds of segments. */
const KINDS = ['entries', 'tail', 'zeros'] as const;

/**
 * The bytes of an archive file, as parts of blobs. Plain cpio begins at a multiple of 4, where the kernel looks for it
 * (initramfs.c: unpack_to_rootfs).
 */
export function archiveMap(descriptor: ArchiveDescriptor): ExtentMap {
  const parts: Part[] = [];
  let size = 0;
  const push = (part: Part, length: number): void => {
    if (length === 0) return;
    parts.push(part);
    size += length;
  };
  for (const frame of descriptor.frames) {
    if (frame.whole !== undefined) {
      for (const { blob, size: length } of frame.whole.streams)
        push({ kind: 'blob', blob, offset: 0, length }, length);
      continue;
    }
    if (holdsPlainArchive(frame)) push({ kind: 'zero', length: padding4(size) }, padding4(size));
    push({ kind: 'inline', bytes: frame.prologue }, frame.prologue.length);
    for (const { blob, stored } of frame.segments)
      push({ kind: 'blob', blob, offset: 0, length: stored }, stored);
    const epilogue = codecOf(frame).epilogue(frame.segments);
    push({ kind: 'inline', bytes: epilogue }, epilogue.length);
  }
  return { size, parts };
}

function holdsPlainArchive({ codec: name, segments }: Frame): boolean {
  return name === 'none' && segments.some(({ kind }) => kind !== 'zeros');
}

/** Every blob that a descriptor needs: segments, their indexes, whole streams. */
export function* archiveBlobs(descriptor: ArchiveDescriptor): Generator<Digest> {
  for (const frame of descriptor.frames) {
    for (const segment of frame.segments) {
      yield segment.blob;
      if (segment.index !== null) yield segment.index;
    }
    for (const { blob } of frame.whole?.streams ?? []) yield blob;
  }
}

/** A descriptor as the bytes of a blob; the same descriptor always gives the same bytes. */
export function encodeDescriptor(descriptor: ArchiveDescriptor): Buffer {
  const frames = descriptor.frames.map((frame) => ({
    codec: frame.codec,
    prologue: frame.prologue.toString('hex'),
    ...(frame.format === undefined ? {} : { format: frame.format }),
    ...(frame.whole === undefined ? {} : { whole: encodeWhole(frame.whole) }),
    segments: frame.segments.map(({ kind, blob, stored, plain, check, index, source, blocks }) => [
      KINDS.indexOf(kind),
      blob,
      stored,
      plain,
      check,
      index,
      source ?? null,
      ...(blocks === undefined ? [] : [blocks]),
    ]),
  }));
  return Buffer.from(JSON.stringify({ version: 1, frames }));
}

type EncodedSegment = readonly [
  kind: number,
  blob: Digest,
  stored: number,
  plain: number,
  check: number,
  index: Digest | null,
  source: Digest | null,
  blocks?: readonly number[],
];

type EncodedWhole = Omit<Whole, 'head'> & { readonly head?: string };

const encodeWhole = ({ head, ...whole }: Whole): EncodedWhole =>
  head === undefined ? whole : { ...whole, head: head.toString('hex') };

const decodeWhole = ({ head, ...whole }: EncodedWhole): Whole =>
  head === undefined ? whole : { ...whole, head: Buffer.from(head, 'hex') };

interface EncodedDescriptor {
  readonly version: number;
  readonly frames: readonly {
    readonly codec: CodecName;
    readonly prologue: string;
    readonly format?: 'tar';
    readonly whole?: EncodedWhole;
    readonly segments: readonly EncodedSegment[];
  }[];
}

/** The descriptor that `encodeDescriptor` wrote. Throws ImageError BAD_HEADER for a version this release does not know. */
export function decodeDescriptor(bytes: Buffer): ArchiveDescriptor {
  const encoded = JSON.parse(bytes.toString('utf8')) as EncodedDescriptor;
  if (encoded.version !== 1) {
    throw new ImageError(
      'BAD_HEADER',
      `an archive descriptor of version ${encoded.version}; this rackboot reads version 1, upgrade it`,
    );
  }
  return {
    frames: encoded.frames.map((frame) => ({
      codec: frame.codec,
      prologue: Buffer.from(frame.prologue, 'hex'),
      ...(frame.format === undefined ? {} : { format: frame.format }),
      ...(frame.whole === undefined ? {} : { whole: decodeWhole(frame.whole) }),
      segments: frame.segments.map(([kind, blob, stored, plain, check, index, source, blocks]) => ({
        kind: KINDS[kind] ?? 'entries',
        blob,
        stored,
        plain,
        check,
        index,
        ...(source === null ? {} : { source }),
        ...(blocks === undefined ? {} : { blocks }),
      })),
    })),
  };
}

type EncodedEntry = readonly [
  rawName: string,
  at: number,
  magic: 1 | 2,
  target: string | 0,
  ...fields: [number, number, number, number, number, number, number, number, number, number, number, number],
  ...tar: readonly TarFacts[], // none or one
];

/** The index of a segment as the bytes of a blob. */
export function encodeIndex(entries: readonly IndexedEntry[]): Buffer {
  const rows = entries.map(({ header: h, rawName, at, target, tar }): EncodedEntry => [
    rawName,
    at,
    h.magic === '070702' ? 2 : 1,
    target ?? 0,
    ...([
      h.ino,
      h.mode,
      h.uid,
      h.gid,
      h.nlink,
      h.mtime,
      h.size,
      h.devMajor,
      h.devMinor,
      h.rdevMajor,
      h.rdevMinor,
      h.check,
    ] as const),
    ...(tar === undefined ? [] : [tar]),
  ]);
  return Buffer.from(JSON.stringify(rows));
}

/** The entries that `encodeIndex` wrote. */
export function decodeIndex(bytes: Buffer): IndexedEntry[] {
  const rows = JSON.parse(bytes.toString('utf8')) as readonly EncodedEntry[];
  return rows.map(
    ([
      rawName,
      at,
      magic,
      target,
      ino,
      mode,
      uid,
      gid,
      nlink,
      mtime,
      size,
      devMajor,
      devMinor,
      rdevMajor,
      rdevMinor,
      check,
      tar,
    ]) => ({
      rawName,
      at,
      ...(target === 0 ? {} : { target }),
      ...(tar === undefined ? {} : { tar }),
      header: {
        magic: magic === 2 ? '070702' : '070701',
        nameSize: rawName.length + 1,
        ...{ ino, mode, uid, gid, nlink, mtime, size, devMajor, devMinor, rdevMajor, rdevMinor, check },
      },
    }),
  );
}
