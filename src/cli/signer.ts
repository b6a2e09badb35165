import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { codeOf } from '../errors.js';
import { noAccess } from '../repo/files.js';
import { RepoError } from '../repo/errors.js';
import { gnupgSigner } from '../repo/signing/gnupg.js';
import { serviceSigner } from '../repo/signing/service.js';
import type { ScriptSigner, Signer } from '../repo/signing/signer.js';
import type { Site } from '../site/site.js';

/** The signer that a site’s rackboot.yaml names, or undefined. Throws RepoError NO_KEY, NO_ACCESS. */
export async function siteSigner({ dir, config }: Site): Promise<Signer | undefined> {
  const { by, gnupg, script, service, name = config.name } = config.signing;
  if (by === 'nobody') return undefined;
  if (by === 'script' && script !== undefined) return scriptSigner(path.resolve(dir, script));
  if (by === 'service' && service !== undefined) {
    return serviceSigner({
      url: service.url,
      publicKey: await readText(path.resolve(dir, service.key)),
      name,
      code: oneTimeCode,
      ...(service.ca === undefined ? {} : { ca: await readText(path.resolve(dir, service.ca)) }),
    });
  }
  return gnupgSigner({
    name,
    ...(gnupg?.key === undefined ? {} : { key: gnupg.key }),
    ...(gnupg?.home === undefined ? {} : { home: path.resolve(dir, gnupg.home) }),
  });
}

/** A program as signer. Throws RepoError SIGNING_FAILED when it cannot be run. */
export async function scriptSigner(program: string): Promise<ScriptSigner> {
  await access(program, constants.X_OK).catch((cause: unknown) => {
    const why =
      codeOf(cause) === 'ENOENT'
        ? 'there is no such file; give the path of the program that signs'
        : 'not a program that can be run; chmod +x it';
    throw new RepoError('SIGNING_FAILED', `${program}: ${why}`, { cause });
  });
  return { kind: 'script', identity: `script ${path.basename(program)}`, program };
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw noAccess(file, error);
  });
}

const CODE = 'RACKBOOT_SIGNING_CODE';

/** The one-time code for the signing service: of the environment, once, else asked for on the terminal without echo. */
async function oneTimeCode(): Promise<string> {
  const given = process.env[CODE];
  if (given !== undefined && given !== '') {
    process.env[CODE] = ''; // it works once, and no program that is started later needs to see it
    return given;
  }
  if (!process.stdin.isTTY)
    throw new RepoError(
      'SIGNING_FAILED',
      `the signing service wants a one-time code; set ${CODE}, or run this on a terminal`,
    );
  process.stderr.write('one-time code of the signing service: ');
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: mute, terminal: true });
  try {
    return await terminal.question('');
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
