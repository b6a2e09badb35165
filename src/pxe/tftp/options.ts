import type { Logger } from 'pino';
import type { TftpProgressEvent, TftpTransferEvent } from './events.js';
import type { TftpFiles } from './files.js';
import type { TftpLimits } from './limits.js';
import type { TransferPorts } from './lines.js';
import type { TftpQuirk } from './quirks.js';

/** What a TFTP server serves, where, and to whom how. */
export interface TftpServerOptions {
  readonly host: string; // address to listen on
  readonly port: number; // 0: any free one
  readonly files: TftpFiles;
  readonly log: Logger;
  readonly ports?: TransferPorts; // any, without it
  readonly quirks?: readonly TftpQuirk[];
  /** The MAC addresses the client at `address` may have, lower case and colon-separated. Asked for quirks by MAC only. */
  readonly macsOf?: (address: string) => Promise<readonly string[]>;
  readonly onTransfer?: (event: TftpTransferEvent) => void;
  readonly onProgress?: (event: TftpProgressEvent) => void;
  readonly limits?: { readonly [Limit in keyof TftpLimits]?: number | undefined };
  readonly now?: () => number; // milliseconds, monotonic
}
