import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { SiteError } from './errors.js';
import { makeSecretFile } from './secret-file.js';

/** The file of a site that holds the token which changes over HTTP are asked for with. */
export const API_TOKEN_FILE = 'api.token';

/** The site's token, made on first use in `<dir>/api.token` with mode 0600. Throws SiteError BAD_TOKEN. */
export async function loadApiToken(siteDir: string): Promise<string> {
  const file = join(siteDir, API_TOKEN_FILE);
  try {
    return await readToken(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw unusable(file, error);
  }
  try {
    await makeSecretFile(file, Buffer.from(`${randomBytes(32).toString('base64url')}\n`));
    return await readToken(file);
  } catch (error) {
    throw unusable(file, error);
  }
}

async function readToken(file: string): Promise<string> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0) {
    throw new SiteError('BAD_TOKEN', `${file}: others may read it; make it yours alone: chmod 600 ${file}`);
  }
  const token = (await readFile(file, 'utf8')).trim();
  if (!/^[A-Za-z0-9._~-]{32,512}$/.test(token))
    throw new RangeError('holds no token of 32 to 512 letters and digits');
  return token;
}

function unusable(file: string, cause: unknown): SiteError {
  if (cause instanceof SiteError) return cause;
  return new SiteError(
    'BAD_TOKEN',
    `${file}: ${messageOf(cause)}; make it readable and writable, or delete it to get a new one`,
    { cause },
  );
}
