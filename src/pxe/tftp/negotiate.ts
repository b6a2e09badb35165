import type { TftpRequest } from './packet.js';

/** What a server allows, in bytes and blocks. */
export interface NegotiationLimits {
  readonly blksize: number; // at most 65464
  readonly windowsize: number; // at most 64
  readonly windowBytes: number; // blksize × windowsize; the window shrinks to fit
}

/** How a transfer is done. */
export interface Terms {
  readonly blksize: number;
  readonly windowsize: number;
  readonly timeout: number | undefined; // milliseconds, the longest time between retransmissions the client agreed to
  /** What to acknowledge, in the order asked; undefined when nothing was, and the first reply is DATA. */
  readonly accepted: ReadonlyMap<string, string> | undefined;
}

const DEFAULT_BLKSIZE = 512;

/** Seconds. RFC 2349 allows 255; a client that vanished would be waited for too long. */
const LONGEST_TIMEOUT = 60;

/**
 * The terms of a read request for a file of `size` bytes: RFC 2348 (blksize), 2349 (tsize, timeout) and 7440
 * (windowsize). Unknown options, and values out of range, are left out of the acknowledgement, which refuses them
 * (RFC 2347). `tsize` is not given for netascii, whose length is known only when it has been converted.
 */
export function negotiate(request: TftpRequest, size: number, limits: NegotiationLimits): Terms {
  const accepted = new Map<string, string>();
  const blksize = Math.min(wholeNumber(request.options.get('blksize'), 8, 65464) ?? 0, limits.blksize);
  const block = blksize === 0 ? DEFAULT_BLKSIZE : blksize;
  const widest = Math.max(1, Math.min(limits.windowsize, Math.floor(limits.windowBytes / block)));
  const windowsize = Math.min(wholeNumber(request.options.get('windowsize'), 1, 65535) ?? 0, widest);
  const timeout = wholeNumber(request.options.get('timeout'), 1, LONGEST_TIMEOUT);
  for (const name of request.options.keys()) {
    if (name === 'blksize' && blksize !== 0) accepted.set(name, String(blksize));
    if (name === 'windowsize' && windowsize !== 0) accepted.set(name, String(windowsize));
    if (name === 'timeout' && timeout !== undefined) accepted.set(name, String(timeout));
    if (name === 'tsize' && request.mode === 'octet') accepted.set(name, String(size));
  }
  return {
    blksize: block,
    windowsize: Math.max(1, windowsize),
    timeout: timeout === undefined ? undefined : timeout * 1000,
    accepted: accepted.size === 0 ? undefined : accepted,
  };
}

/** `text` as a whole number in [least, most], or undefined. */
function wholeNumber(text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= least && value <= most ? value : undefined;
}
