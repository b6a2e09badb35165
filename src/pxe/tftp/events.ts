import type { TftpClient } from './files.js';
import type { TransferOutcome } from './transfer.js';

/** What became of a read request. */
export interface TftpTransferEvent {
  readonly client: TftpClient;
  readonly path: string;
  readonly outcome: TransferOutcome | 'not-found' | 'refused';
  readonly detail: string; // one line; empty when there is nothing to say
  readonly bytes: number; // of the file, acknowledged by the client
  readonly size: number | null;
  readonly ms: number;
  readonly blksize: number | null;
  readonly windowsize: number | null;
  readonly resent: number; // blocks
}

/** Where a running transfer is; told about four times a second while it moves. */
export interface TftpProgressEvent {
  readonly client: TftpClient;
  readonly path: string;
  readonly bytes: number;
  readonly size: number;
}

/** The event of a request that came to no transfer. */
export function requestEvent(
  client: TftpClient,
  path: string,
  outcome: TftpTransferEvent['outcome'],
  detail: string,
): TftpTransferEvent {
  const nothing = { bytes: 0, size: null, ms: 0, blksize: null, windowsize: null, resent: 0 };
  return { client, path, outcome, detail, ...nothing };
}
