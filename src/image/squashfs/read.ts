import { ArchiveFeed, type FrameTools, type ReadFrame } from '../archive-feed.js';
import type { ChunkReader } from '../chunks.js';
import { codecOf } from '../codec.js';
import { canonicalPath, pathToText } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import type { FilterProgram } from '../filter.js';
import { FAST_HEADER } from '../gzip/member.js';
import { spoolFile, type Spool } from '../spool.js';
import { filterThrough } from '../whole/filtering.js';
import { decodeSuperblock, lostOptions, SUPERBLOCK } from './superblock.js';

/**
 * Reads a squashfs, to the end of the file. Its bytes are stored as they are, to be served; what it holds is stored again
 * as segments of a tar archive, to be looked at and edited. Throws ImageError TRUNCATED, BAD_HEADER, UNKNOWN_CODEC,
 * MISSING_TOOL, TOOL_FAILED, TOO_LARGE.
 */
export async function readSquashfsFrame(reader: ChunkReader, tools: FrameTools): Promise<ReadFrame> {
  const head = Buffer.from(await reader.peek(SUPERBLOCK));
  const superblock = decodeSuperblock(head);
  const { size } = superblock;
  const lost = lostOptions(superblock);
  const spool = await spoolFile(restOf(reader), Number.POSITIVE_INFINITY, 'the squashfs');
  try {
    if (spool.size < size) {
      throw new ImageError(
        'TRUNCATED',
        `the squashfs ends after ${spool.size} of its ${size} bytes; the file is cut short, fetch it again`,
      );
    }
    const stored = await tools.writer.putStream(spool.read());
    const listed = await listTypes(spool);
    const changes = [
      ...(lost.length === 0 ? [] : [`was made with ${lost.join(' ')}`]),
      ...(listed.sockets.length === 0 ? [] : [socketsNote(listed.sockets)]),
    ];
    if (changes.length > 0)
      tools.note(`the squashfs ${changes.join(', and ')}; the first change to it makes it again without`);
    const frame = { codec: 'gzip', prologue: FAST_HEADER } as const;
    const feed = new ArchiveFeed(codecOf(frame), tools);
    for await (const chunk of asTar(spool, listed.sockets.length > 0)) {
      tools.growth.add(chunk.length);
      await feed.plain(chunk);
    }
    if (feed.entries !== listed.entries - listed.sockets.length) {
      throw new ImageError(
        'TOOL_FAILED',
        `sqfs2tar gave ${feed.entries} of the ${listed.entries} entries of the squashfs, besides ${listed.sockets.length} sockets; it is damaged, fetch it again`,
      );
    }
    const whole = { codec: 'squashfs', streams: [{ blob: stored.digest, size: stored.size }], head } as const;
    return { feed, frame: { ...frame, segments: await feed.finish(), whole } };
  } finally {
    await spool.close();
  }
}

/** What a squashfs holds, counted, and its sockets, for which tar, through which it is edited, has no type. */
interface ListedTypes {
  readonly entries: number;
  readonly sockets: readonly string[];
}

/** Sockets that a note names. */
const NAMED_SOCKETS = 3;

function socketsNote(sockets: readonly string[]): string {
  const named = sockets.slice(0, NAMED_SOCKETS).join(', ');
  const more = sockets.length > NAMED_SOCKETS ? ` and ${sockets.length - NAMED_SOCKETS} more` : '';
  return `holds sockets, for which tar, through which it is edited, has no type (${named}${more})`;
}

async function listTypes({ path }: Spool): Promise<ListedTypes> {
  const program: FilterProgram = {
    program: 'unsquashfs',
    args: ['-lln', '-UTC', '-dest', '.', path],
    package: 'squashfs-tools',
  };
  let entries = 0;
  const sockets: string[] = [];
  let rest = '';
  try {
    for await (const chunk of filterThrough(program, noInput())) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!/^[-dlcbps][-rwxsStT]{9} \d+\/\d+ /.test(line)) continue; // a name that goes on
        entries++;
        const socket = /^s.{9} \S+ +0 [\d-]+ [\d:]+ \.(\/.*)$/.exec(line)?.[1];
        if (socket !== undefined) sockets.push(pathToText(canonicalPath(socket)));
      }
    }
  } catch (error) {
    throw damaged(error);
  }
  return { entries, sockets };
}

/** What a squashfs holds as a tar archive, its root and extended attributes included, with `skip` but for its sockets. */
async function* asTar({ path }: Spool, skip: boolean): AsyncGenerator<Buffer> {
  const program: FilterProgram = {
    program: 'sqfs2tar',
    args: ['--root-becomes', '.', ...(skip ? [] : ['--no-skip']), path],
    package: 'squashfs-tools-ng',
  };
  try {
    yield* filterThrough(program, noInput());
  } catch (error) {
    throw damaged(error);
  }
}

function damaged(error: unknown): unknown {
  if (!(error instanceof ImageError) || error.code !== 'TOOL_FAILED') return error;
  return new ImageError('TOOL_FAILED', `the squashfs is damaged (${error.message}); fetch it again`, {
    cause: error,
  });
}

async function* restOf(reader: ChunkReader): AsyncGenerator<Buffer> {
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
}

/** Nothing: for programs that read a file and not their standard input. */
export async function* noInput(): AsyncGenerator<Buffer> {
  // ends at once
}
