import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { FileRun } from '../../store/file-run.js';
import type { Piece } from '../../store/types.js';
import { answerBytes, type ByteRange } from './conditional.js';
import { directSender, type DirectSender } from './direct-send.js';
import type { RouteRequest } from './route.js';

/** Bytes that never change under their name. */
export interface ImmutableBytes {
  readonly size: number; // bytes
  readonly sha256: string; // hexadecimal, of the bytes or of what they follow from; the strong ETag
  readonly contentType: string;
  readonly cacheControl: string;
  /** Bytes [start, end); asked for once for each range. A buffer's bytes are used before the next one is asked for. */
  read(start: number, end: number): Promise<AsyncIterable<Buffer>>;
  /** The same, for a connection that can be sent runs of files: used instead of `read` where that pays. */
  pieces?(start: number, end: number): Promise<AsyncIterable<Piece>>;
}

/** The shortest body that is sent past Node’s buffers, in bytes. */
const shortestDirect = 256 * 1024;

/** How a response to a request for bytes ended. */
export interface SentBytes {
  readonly status: number;
  readonly bytes: number; // of the file, handed to the network
  readonly isComplete: boolean; // the whole of what was asked for
  readonly isWhole: boolean; // the whole file, in this one response
}

/**
 * Answers a GET or HEAD with `content` or the ranges asked for, no faster than the client reads. A client that goes
 * away ends the reading; it is not an error. `onBytes` is told the file's bytes as they go out.
 */
export async function sendBytes(
  request: RouteRequest,
  content: ImmutableBytes,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<SentBytes> {
  const { req, res } = request;
  const method = request.method === 'HEAD' ? 'HEAD' : 'GET';
  const etag = `"${content.sha256}"`;
  const answer = answerBytes(method, req.headers, etag, content.size);
  res.setHeader('ETag', etag);
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('Cache-Control', content.cacheControl);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  if (answer.status === 304 || answer.status === 412 || answer.status === 416) {
    if (answer.status === 416) res.setHeader('Content-Range', `bytes */${content.size}`);
    if (answer.status !== 304) res.setHeader('Content-Length', 0);
    res.writeHead(answer.status).end();
    return { status: answer.status, bytes: 0, isComplete: true, isWhole: false };
  }
  const [range, ...others] = answer.status === 206 ? answer.ranges : [{ start: 0, end: content.size }];
  const parts = others.length === 0 ? undefined : multipart([range, ...others], content);
  const wanted = [range, ...others].reduce((sum, { start, end }) => sum + end - start, 0);
  const sink = new BodySink(res, req.socket, wanted >= shortestDirect && content.pieces !== undefined);
  const open = (part: ByteRange): Promise<AsyncIterable<Piece>> =>
    sink.takesRuns && content.pieces !== undefined
      ? content.pieces(part.start, part.end)
      : content.read(part.start, part.end);
  // Opened before the header goes out, so that bytes that are gone are still a 404.
  const first = method === 'HEAD' ? undefined : await open(range);
  res.setHeader('Content-Type', parts?.contentType ?? content.contentType);
  res.setHeader('Content-Length', parts?.length ?? range.end - range.start);
  if (answer.status === 206 && parts === undefined) res.setHeader('Content-Range', rangeOf(range, content));
  res.writeHead(answer.status);
  if (first === undefined) {
    res.end();
    return { status: answer.status, bytes: 0, isComplete: true, isWhole: false };
  }
  try {
    const body = parts === undefined ? first : parts.body(first, open);
    const { bytes, isFinished } = await sink.pour(body, onBytes);
    const isComplete = bytes === wanted && isFinished;
    return { status: answer.status, bytes, isComplete, isWhole: isComplete && bytes === content.size };
  } finally {
    // What was opened is read by nobody when the client goes before its first byte.
    await first[Symbol.asyncIterator]().return?.();
  }
}

function rangeOf({ start, end }: ByteRange, { size }: ImmutableBytes): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

/** Bytes of a body that are not the file's. */
interface Framing {
  readonly framing: string;
}

/** Several ranges as multipart/byteranges (RFC 9110 §14.6); `first` is the first one, opened already. */
function multipart(
  ranges: readonly ByteRange[],
  content: ImmutableBytes,
): {
  readonly contentType: string;
  readonly length: number;
  body(
    first: AsyncIterable<Piece>,
    open: (range: ByteRange) => Promise<AsyncIterable<Piece>>,
  ): AsyncIterable<Piece | Framing>;
} {
  const boundary = `rackboot-${randomBytes(12).toString('hex')}`;
  const headerOf = (range: ByteRange, at: number): string =>
    `${at === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${content.contentType}\r\nContent-Range: ${rangeOf(range, content)}\r\n\r\n`;
  const trailer = `\r\n--${boundary}--\r\n`;
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: ranges.reduce(
      (sum, range, at) => sum + headerOf(range, at).length + range.end - range.start,
      trailer.length,
    ),
    async *body(first, open) {
      for (const [at, range] of ranges.entries()) {
        yield { framing: headerOf(range, at) };
        yield* at === 0 ? first : await open(range);
      }
      yield { framing: trailer };
    },
  };
}

/** The body of one response, which ends with it. */
class BodySink {
  readonly #res: ServerResponse;
  readonly #direct: DirectSender | undefined;
  #settle: (isDone: boolean) => void = () => undefined;

  constructor(res: ServerResponse, socket: Socket, wantsRuns: boolean) {
    this.#res = res;
    this.#direct = wantsRuns
      ? directSender(res, socket, (bytes) => this.#step((done) => res.write(bytes, done)))
      : undefined;
  }

  /** Whether pieces may be runs of files. */
  get takesRuns(): boolean {
    return this.#direct !== undefined;
  }

  /**
   * Writes `source` and ends the response. A piece is in the kernel's hands before the next one is asked for: each client
   * holds one at a time, and it may be written over then.
   */
  async pour(
    source: AsyncIterable<Piece | Framing>,
    onBytes: (bytes: number) => void,
  ): Promise<{ readonly bytes: number; readonly isFinished: boolean }> {
    const res = this.#res;
    let bytes = 0; // of the file
    const count = (sent: number): void => {
      bytes += sent;
      onBytes(sent);
    };
    const onClose = (): void => this.#settle(false);
    res.once('close', onClose);
    if (res.socket !== null) this.#direct?.cork(true); // the connection is not another response's still
    try {
      // Node is done with the header, and the connection is this response's, before anything goes past Node.
      if (this.takesRuns && !(await this.#step((done) => res.write('', done))))
        return { bytes, isFinished: false };
      for await (const piece of source) {
        if (piece instanceof FileRun) {
          const sent = await this.#direct?.send(piece, count);
          if (sent !== piece.length) return { bytes, isFinished: false };
          continue;
        }
        const isFile = Buffer.isBuffer(piece);
        if (!(await this.#step((done) => res.write(isFile ? piece : piece.framing, done))))
          return { bytes, isFinished: false };
        if (isFile) count(piece.length);
      }
      return { bytes, isFinished: await this.#step((done) => res.end(done)) };
    } finally {
      this.#direct?.cork(false);
      res.off('close', onClose);
    }
  }

  /** Whether what `begin` began was done before the client went away. */
  #step(begin: (done: (error?: Error | null) => void) => void): Promise<boolean> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (this.#res.destroyed) resolve(false);
      else begin((error) => resolve(error === undefined || error === null));
    });
  }
}
