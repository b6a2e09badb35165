import type { Logger } from 'pino';
import type { SendPorts } from '../../site/listen.js';
import type { TftpProgressEvent, TftpTransferEvent } from './events.js';
import type { TftpFiles } from './files.js';
import type { TftpLimits } from './limits.js';
import type { TftpQuirk } from './quirks.js';

/** What a TFTP server serves, where, and to whom how. */
export interface TftpServerOptions {
  readonly host: string; // address to listen on
  readonly port: number; // 0: any free one
  readonly files: TftpFiles;
  readonly log: Logger;
  /**
   * Where transfers are sent from: a port of its own for each, any (the default) or in a range, as RFC 1350 §4 has it; or
   * the server's, for networks whose firewalls let nothing else pass.
   */
  readonly ports?: SendPorts;
  readonly quirks?: readonly TftpQuirk[];
  /** The MAC addresses the client at `address` may have, lower case and colon-separated. Asked for quirks by MAC only. */
  readonly macsOf?: (address: string) => Promise<readonly string[]>;
  readonly onTransfer?: (event: TftpTransferEvent) => void;
  readonly onProgress?: (event: TftpProgressEvent) => void;
  readonly limits?: { readonly [Limit in keyof TftpLimits]?: number | undefined };
  readonly now?: () => number; // milliseconds, monotonic
}
