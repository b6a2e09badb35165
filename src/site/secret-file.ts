import { randomBytes } from 'node:crypto';
import { link, rm, writeFile } from 'node:fs/promises';
import { codeOf } from '../errors.js';

/**
 * Makes `file` with `bytes`, of mode 0600 and whole or not at all; one that is there already stays. Throws what the file
 * system says.
 */
export async function makeSecretFile(file: string, bytes: Buffer): Promise<void> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, bytes, { mode: 0o600, flag: 'wx', flush: true });
    // link, not rename: of two servers that start at once, the first one's secret stays.
    await link(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}
