import { encodePath, grubQuote, plainPath } from './arguments.js';
import { BootError } from './errors.js';

/** How GRUB fetches its files. */
export type GrubTransport = 'http' | 'tftp';

/** The path `path` of the server at `serverUrl` as GRUB names it, quoted. Throws BootError BAD_URL, BAD_PATH. */
export function grubFile(serverUrl: string, transport: GrubTransport, path: string): string {
  return grubQuote(
    transport === 'http'
      ? `${grubHttpRoot(serverUrl)}${encodePath(path)}`
      : `(tftp,${new URL(serverUrl).hostname})${plainPath(path, 'GRUB')}`,
  );
}

/** The server at `serverUrl` as GRUB names it over HTTP, no final slash. Throws BootError BAD_URL. */
export function grubHttpRoot(serverUrl: string): string {
  const url = new URL(serverUrl);
  if (url.protocol !== 'http:') {
    throw new BootError(
      'BAD_URL',
      `GRUB cannot speak ${url.protocol.slice(0, -1)}; set http.url to an http:// URL`,
    );
  }
  return `(http,${url.host})${url.pathname.replace(/\/$/, '')}`;
}
