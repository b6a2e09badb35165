import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { codeOf, messageOf } from '../../errors.js';
import { sha256 } from '../../store/digest.js';
import { RepoError } from '../errors.js';
import { noAccess } from '../files.js';
import { isInside, REPOMD, REPOMD_SIGNATURE } from '../repomd.js';
import { formerKeys, parseTreeinfo, TREEINFO, withChecksum, withKey, withoutKeys } from '../treeinfo.js';
import { readKeys, verifyDetached, type GoodSignature, type PublicKey } from './openpgp.js';
import type { KeySigner, ScriptSigner, Signer } from './signer.js';

/** A tree that was signed. */
export interface SignedTree extends GoodSignature {
  readonly keyFile: string; // relative to the tree
  readonly keys: readonly PublicKey[]; // those in it, the signer’s first
}

/** What a signer that has a key is told besides. */
export interface SignOptions {
  readonly time?: number; // seconds; dates the signature, where the signer can
  readonly dropsListed?: boolean; // the keys that were beside the signer’s before
}

/**
 * Signs the metadata in a directory: writes repodata/repomd.xml.asc and RPM-GPG-KEY-*, and sets key1 of .treeinfo where there
 * is one. The keys that the tree lists, or listed until it was unsigned, and those of a key file of the same name stay in the key
 * file, after the signer’s, for packages that were signed with them. The signature is checked as an installer would before it is in place (a script’s, afterwards). Throws RepoError NO_REPOSITORY, SIGNING_FAILED, BAD_SIGNATURE, BAD_TREEINFO.
 */
export async function signTree(dir: string, signer: Signer, options: SignOptions = {}): Promise<SignedTree> {
  return signer.kind === 'script' ? signByScript(dir, signer) : signByKey(dir, signer, options);
}

async function signByKey(
  dir: string,
  signer: KeySigner,
  { time, dropsListed = false }: SignOptions,
): Promise<SignedTree> {
  const repomd = await readRepomdBytes(dir);
  const treeinfo = await readOptional(path.join(dir, TREEINFO));
  const keyFile = `RPM-GPG-KEY-${signer.name}`;
  const others = dropsListed ? [] : await otherKeys(dir, treeinfo, keyFile, signer.identity);
  const keyText = [signer.publicKey, ...others].join('');
  const signature = await signer.sign(repomd, time);
  const good = await verifyDetached(
    repomd,
    Buffer.from(signature),
    signer.publicKey,
    path.join(dir, REPOMD_SIGNATURE),
  );
  await replace(path.join(dir, keyFile), keyText);
  if (treeinfo !== undefined)
    await replace(path.join(dir, TREEINFO), withChecksum(withKey(treeinfo, keyFile), REPOMD, sha256(repomd)));
  await replace(path.join(dir, REPOMD_SIGNATURE), signature);
  return { ...good, keyFile, keys: await readKeys(keyText, path.join(dir, keyFile)) };
}

/** The keys that stay beside the signer’s own, each armored block of them once. */
async function otherKeys(
  dir: string,
  treeinfo: string | undefined,
  keyFile: string,
  own: string,
): Promise<string[]> {
  const known = new Set([own]);
  const others: string[] = [];
  for (const name of new Set([...keyFileBefore(dir, treeinfo), keyFile])) {
    const text = (await readOptional(path.join(dir, name))) ?? '';
    for (const [block] of text.matchAll(
      /^-----BEGIN PGP PUBLIC KEY BLOCK-----.*?^-----END PGP PUBLIC KEY BLOCK-----$/gms,
    )) {
      const armored = `${block}\n`;
      const found = await readKeys(armored, path.join(dir, name));
      if (found.every(({ fingerprint }) => known.has(fingerprint))) continue;
      for (const { fingerprint } of found) known.add(fingerprint);
      others.push(armored);
    }
  }
  return others;
}

/** The one key file that installers take of what the tree lists, or listed until it was unsigned. */
function keyFileBefore(dir: string, treeinfo: string | undefined): string[] {
  if (treeinfo === undefined) return [];
  const { keys } = parseTreeinfo(treeinfo, path.join(dir, TREEINFO));
  return (keys.length > 0 ? keys : formerKeys(treeinfo)).slice(0, 1).filter(isInside);
}

async function signByScript(dir: string, { program }: ScriptSigner): Promise<SignedTree> {
  const repomd = await readRepomdBytes(dir);
  await rm(path.join(dir, REPOMD_SIGNATURE), { force: true });
  try {
    // It may ask its operator something; what it prints is no result of ours.
    await execa(program, [dir], { stdin: 'inherit', stdout: process.stderr, stderr: 'inherit' });
  } catch (error) {
    throw new RepoError(
      'SIGNING_FAILED',
      `${program} failed: ${codeOf(error) === 'ENOENT' ? 'there is no such program' : messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
  const signature = await readOptional(path.join(dir, REPOMD_SIGNATURE));
  if (signature === undefined)
    throw new RepoError('SIGNING_FAILED', `${program} did not write ${REPOMD_SIGNATURE}`);
  if (!(await readRepomdBytes(dir)).equals(repomd))
    throw new RepoError('SIGNING_FAILED', `${program} changed ${REPOMD}, which it must only sign`);
  const keyFile = await keyFileOf(dir, program);
  const keyText = await readFile(path.join(dir, keyFile), 'latin1');
  const good = await verifyDetached(
    repomd,
    Buffer.from(signature),
    keyText,
    path.join(dir, REPOMD_SIGNATURE),
  );
  return { ...good, keyFile, keys: await readKeys(keyText, path.join(dir, keyFile)) };
}

/** The key file that a script exported: the one that .treeinfo lists first, which is the only one that installers take. */
async function keyFileOf(dir: string, program: string): Promise<string> {
  const treeinfo = await readOptional(path.join(dir, TREEINFO));
  const exported = (await readdir(dir)).filter((name) => name.startsWith('RPM-GPG-KEY-')).sort();
  const listed =
    treeinfo === undefined ? exported[0] : parseTreeinfo(treeinfo, path.join(dir, TREEINFO)).keys[0];
  if (listed === undefined || (await readOptional(path.join(dir, listed))) === undefined) {
    throw new RepoError(
      'SIGNING_FAILED',
      `${program} left no key file that ${treeinfo === undefined ? 'is named RPM-GPG-KEY-*' : `${TREEINFO} lists as key1`}; it must export the public key and name it there`,
    );
  }
  return listed;
}

/** Takes a tree’s signature away, and makes its keys comments, so that installers check nothing. Says whether there was one. */
export async function unsignTree(dir: string): Promise<boolean> {
  const repomd = await readRepomdBytes(dir);
  const treeinfo = await readOptional(path.join(dir, TREEINFO));
  if (treeinfo !== undefined)
    await replace(path.join(dir, TREEINFO), withChecksum(withoutKeys(treeinfo), REPOMD, sha256(repomd)));
  const signature = path.join(dir, REPOMD_SIGNATURE);
  const wasSigned = (await readOptional(signature)) !== undefined;
  await rm(signature, { force: true });
  return wasSigned;
}

async function readRepomdBytes(dir: string): Promise<Buffer> {
  return readFile(path.join(dir, REPOMD)).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw noAccess(path.join(dir, REPOMD), error);
    throw new RepoError(
      'NO_REPOSITORY',
      `${dir}: no ${REPOMD} in it; make one with: rackboot repo build ${dir}`,
    );
  });
}

async function readOptional(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw noAccess(file, error);
  });
}

/** Writes a file that readers see as it was or as it will be. */
async function replace(file: string, text: string): Promise<void> {
  const made = path.join(path.dirname(file), `.${path.basename(file)}.new`);
  try {
    await writeFile(made, text, { flush: true });
    await rename(made, file);
  } catch (error) {
    throw noAccess(file, error);
  }
}
