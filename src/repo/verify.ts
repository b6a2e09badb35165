import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pLimit from 'p-limit';
import { codeOf } from '../errors.js';
import { collect } from '../image/chunks.js';
import { ImageError } from '../image/errors.js';
import { RepoError } from './errors.js';
import { readText, type RepoFiles } from './files.js';
import { hashOf, isGzip, listOf, openMetadata, readRepomd } from './metadata.js';
import { parseEntry, type PackageEntry } from './package-entry.js';
import { packagesOf } from './package-stream.js';
import { REPOMD, REPOMD_SIGNATURE, type MetadataFile, type Repomd } from './repomd.js';
import { readKeys, verifyDetached, type GoodSignature, type PublicKey } from './signing/openpgp.js';
import {
  withPackageChecker,
  type PackageChecker,
  type PackageSignature,
} from './signing/package-signatures.js';
import { checkChecksums } from './tree-checksums.js';
import { parseTreeinfo, productOf, TREEINFO, type Treeinfo } from './treeinfo.js';

export interface VerifyRequest {
  readonly files: RepoFiles;
  /** Armored keys to check with in place of those that the tree lists. */
  readonly keys?: string;
  /** Whether dnf alone reads the metadata, as in Anaconda: in any compression. XCP-ng's installer reads gzip only. */
  readonly byDnf?: boolean;
  /** Whether a package that is listed need not be there, as the exclusions of a mirror say. */
  readonly isLeftOut?: (href: string) => boolean;
  /** What mends a checksum of .treeinfo that is not its file’s, where more is known of the tree. */
  readonly checksumMend?: string;
  readonly onProgress?: (what: string, done: number, total: number) => void;
}

export interface VerifyReport {
  readonly product?: { readonly name: string; readonly version: string };
  readonly packages: number;
  readonly leftOut: number; // packages that are listed and need not be there
  readonly bytes: number; // of the packages that were read
  readonly signature?: GoodSignature; // of repomd.xml; none where no key is listed
  readonly keys: readonly PublicKey[]; // of the key file that installers take
  readonly findings: readonly string[]; // a line each; none: an installer takes the tree
  readonly notes: readonly string[];
}

/**
 * Checks an install tree or a package repository as its installer would, and everything before it begins: .treeinfo and the
 * files that it has checksums of, the signature of repomd.xml, every metadata file, and of every package size, digest and signature.
 */
export async function verifyTree(request: VerifyRequest): Promise<VerifyReport> {
  const { files } = request;
  const findings: string[] = [];
  const notes: string[] = [];
  const finding = (error: unknown): undefined => {
    const code = codeOf(error) ?? '';
    if (!(error instanceof RepoError || error instanceof ImageError) || OURS.includes(code)) throw error;
    findings.push(error.message);
  };
  const treeinfo = await readTreeinfo(files).catch(finding);
  if (treeinfo !== undefined) await checkListed(request, treeinfo, findings, notes);
  const product = treeinfo === undefined ? undefined : productOf(treeinfo);
  const keys = request.keys ?? (await listedKeys(files, treeinfo).catch(finding));
  const known =
    keys === undefined ? [] : ((await readKeys(keys, `${files.where}: keys`).catch(finding)) ?? []);
  const repomd = await readRepomd(files).catch(finding);
  const shown = { ...(product === undefined ? {} : { product }), keys: known, findings, notes };
  if (repomd === undefined) return { ...shown, packages: 0, leftOut: 0, bytes: 0 };
  const signature = await checkSignature(files, known.length === 0 ? undefined : keys, notes).catch(finding);
  if (known.some(({ algorithm }) => algorithm !== 1 && algorithm !== 17))
    notes.push('a listed key is neither RSA nor DSA: yum of XCP-ng 8 cannot read it');
  for (const file of repomd.files)
    if (file.type !== 'primary') await checkMetadata(files, file).catch(finding);
  const entries = (await readPrimary(files, repomd, request.byDnf === true).catch(finding)) ?? [];
  const counts = await checkPackages(request, entries, known.length === 0 ? undefined : keys, findings);
  return { ...shown, ...counts, packages: entries.length, ...(signature === undefined ? {} : { signature }) };
}

/** What is wrong with this machine or the way to the tree, and not with the tree. */
const OURS = ['MISSING_TOOL', 'NO_ACCESS', 'FETCH_FAILED'];

async function readTreeinfo(files: RepoFiles): Promise<Treeinfo | undefined> {
  const text = await readText(files, TREEINFO);
  return text === undefined ? undefined : parseTreeinfo(text, `${files.where}/${TREEINFO}`);
}

/** Compares the files that .treeinfo lists checksums of, wherever in the tree they lie. */
async function checkListed(
  { files, isLeftOut, checksumMend }: VerifyRequest,
  treeinfo: Treeinfo,
  findings: string[],
  notes: string[],
): Promise<void> {
  const checked = await checkChecksums(files, treeinfo, checksumMend);
  findings.push(...checked.findings);
  notes.push(...checked.notes);
  const missing = checked.missing.filter((name) => isLeftOut?.(name) !== true);
  if (missing.length > 0)
    notes.push(`${TREEINFO} lists checksums of files that are not there: ${missing.join(', ')}`);
}

/** The text of the key file that installers take: the first that .treeinfo lists. */
async function listedKeys(files: RepoFiles, treeinfo: Treeinfo | undefined): Promise<string | undefined> {
  const [first] = treeinfo?.keys ?? [];
  if (first === undefined) return undefined;
  const text = await readText(files, first);
  if (text !== undefined) return text;
  throw new RepoError(
    'NO_KEY',
    `${files.where}/${first}: listed in ${TREEINFO}, but not there: the installation stops after the disk was wiped`,
  );
}

async function checkSignature(
  files: RepoFiles,
  keys: string | undefined,
  notes: string[],
): Promise<GoodSignature | undefined> {
  const signature = await files.read(REPOMD_SIGNATURE);
  const bytes = signature === undefined ? undefined : await collect(signature);
  const where = `${files.where}/${REPOMD_SIGNATURE}`;
  if (keys === undefined) {
    notes.push(
      bytes === undefined
        ? 'unsigned: no key is listed, so installers check no signature'
        : `${REPOMD_SIGNATURE} is there, but no key is listed: installers check no signature`,
    );
    return undefined;
  }
  if (bytes === undefined) {
    throw new RepoError(
      'BAD_SIGNATURE',
      `${where}: missing, and a key is listed: installers say “No signature on repository metadata”; sign with: rackboot repo sign`,
    );
  }
  const repomd = await files.read(REPOMD);
  return verifyDetached(repomd === undefined ? Buffer.alloc(0) : await collect(repomd), bytes, keys, where);
}

/** Reads a metadata file to its end, which checks its size and checksum; then those of its content. */
async function checkMetadata(files: RepoFiles, file: MetadataFile): Promise<void> {
  const hash = file.openChecksum === undefined ? undefined : hashOf(file.openChecksum.type);
  for await (const chunk of openMetadata(files, file)) hash?.update(chunk);
  if (hash === undefined || hash.digest('hex') === file.openChecksum?.value) return;
  throw new RepoError(
    'BAD_METADATA',
    `${files.where}/${file.href}: its content is not what ${REPOMD} says; make it again with: rackboot repo build`,
  );
}

async function readPrimary(files: RepoFiles, repomd: Repomd, byDnf: boolean): Promise<PackageEntry[]> {
  const file = listOf(repomd, 'primary', files.where);
  const where = `${files.where}/${file.href}`;
  if (!byDnf) await requireGzip(files, file);
  await checkMetadata(files, file);
  const entries: PackageEntry[] = [];
  for await (const fragment of packagesOf(openMetadata(files, file), where))
    entries.push(parseEntry(fragment, where));
  const other = entries.find(({ checksum }) => checksum.type !== 'sha256');
  if (other === undefined) return entries;
  throw new RepoError(
    'BAD_METADATA',
    `${where}: ${other.href} has a checksum of type ${other.checksum.type}: installers verify sha256 alone, and pass over the rest; make it again with: rackboot repo build`,
  );
}

async function requireGzip(files: RepoFiles, file: MetadataFile): Promise<void> {
  const source = await files.read(file.href);
  for await (const chunk of source ?? []) {
    if (isGzip(chunk)) return;
    throw new RepoError(
      'BAD_METADATA',
      `${files.where}/${file.href}: not gzip, the one compression that installers read; make it again with: rackboot repo build`,
    );
  }
}

const BATCH = 32; // packages for one call of rpm
const JOBS = 2;

interface Checked {
  readonly href: string;
  readonly signature?: PackageSignature;
}

async function checkPackages(
  { files, isLeftOut, onProgress }: VerifyRequest,
  entries: readonly PackageEntry[],
  keys: string | undefined,
  findings: string[],
): Promise<{ leftOut: number; bytes: number }> {
  let [leftOut, bytes, done] = [0, 0, 0];
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  const checked: Checked[] = [];
  const limit = pLimit(JOBS);
  const checkBatch = async (
    batch: readonly PackageEntry[],
    checker: PackageChecker | undefined,
  ): Promise<void> => {
    const work = await mkdtemp(path.join(tmpdir(), 'rackboot-verify-'));
    try {
      const local: { href: string; file: string }[] = [];
      for (const [at, entry] of batch.entries()) {
        const file = files.localPath?.(entry.href) ?? path.join(work, `${String(at)}.rpm`);
        const problem = await comparePackage(files, entry, files.localPath === undefined ? file : undefined);
        done += entry.size;
        onProgress?.(entry.href, done, total);
        if (problem === 'missing' && isLeftOut?.(entry.href) === true) leftOut++;
        else if (problem !== undefined) findings.push(`${files.where}/${entry.href}: ${TEXT[problem]}`);
        else {
          bytes += entry.size;
          local.push({ href: entry.href, file });
        }
      }
      const said =
        checker === undefined || local.length === 0 ? [] : await checker.check(local.map(({ file }) => file));
      for (const [at, { href }] of local.entries()) {
        const signature = said[at];
        checked.push({ href, ...(signature === undefined ? {} : { signature }) });
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };
  const checkAll = async (checker?: PackageChecker): Promise<void> => {
    const batches: PackageEntry[][] = [];
    for (let at = 0; at < entries.length; at += BATCH) batches.push(entries.slice(at, at + BATCH));
    await Promise.all(batches.map((batch) => limit(() => checkBatch(batch, checker))));
  };
  if (keys === undefined) await checkAll();
  else await withPackageChecker(keys, checkAll);
  findings.push(...signatureFindings(checked));
  return { leftOut, bytes };
}

type Problem = 'missing' | 'size' | 'digest';
const TEXT: Readonly<Record<Problem, string>> = {
  missing:
    'listed, but not there: installers say “Cannot find valid rpm”; fetch it again, or take it off the list with: rackboot repo build',
  size: 'not as large as primary says; fetch it again, or list it anew with: rackboot repo build',
  digest:
    'not the file that primary means (its SHA-256 differs); fetch it again, or list it anew with: rackboot repo build',
};

/** Compares a package with what the metadata says of it, and copies it to `copy`. */
async function comparePackage(
  files: RepoFiles,
  entry: PackageEntry,
  copy?: string,
): Promise<Problem | undefined> {
  const source = await files.read(entry.href);
  if (source === undefined) return 'missing';
  const hash = createHash('sha256');
  let size = 0;
  await pipeline(
    source,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    },
    copy === undefined ? nowhere() : createWriteStream(copy),
  );
  if (size !== entry.size) return 'size';
  return hash.digest('hex') === entry.checksum.value ? undefined : 'digest';
}

const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });

/** What is wrong with the packages’ signatures, those that are wrong in one way together. */
function signatureFindings(checked: readonly Checked[]): string[] {
  const groups = new Map<string, { readonly hrefs: string[]; readonly text: string }>();
  for (const { href, signature } of checked) {
    if (signature === undefined || signature.kind === 'good') continue;
    const text = SIGNATURE_TEXT[signature.kind](signature);
    const group = groups.get(text) ?? { hrefs: [], text };
    group.hrefs.push(href);
    groups.set(text, group);
  }
  return [...groups.values()].map(({ hrefs, text }) => {
    const [first = ''] = hrefs;
    const name = path.posix.basename(first);
    const who = hrefs.length === 1 ? name : `${name} and ${hrefs.length - 1} more`;
    return `${who}: ${text.replaceAll('%F', name)}`;
  });
}

const SIGNATURE_TEXT: {
  readonly [Kind in Exclude<PackageSignature['kind'], 'good'>]: (signature: PackageSignature) => string;
} = {
  unsigned: () =>
    'not signed, and a key is listed: installers say “Package not signed: %F”. Sign packages with rpmsign, or switch gpgcheck off',
  'other key': (signature) =>
    `signed by key …${signature.kind === 'other key' ? signature.key : ''}, which the listed key file does not hold: repomd.xml and packages are signed by different keys, and installers say “Missing key for %F”. Put that key into the listed key file (rackboot repo sign keeps those that were listed), or switch gpgcheck off`,
  damaged: (signature) => `damaged (${signature.kind === 'damaged' ? signature.why : ''}); fetch it again`,
};
