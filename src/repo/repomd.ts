import { asDigest, type Digest } from '../store/digest.js';
import { RepoError } from './errors.js';
import { attributesOf, elementAttributes, elementText, encodeXml } from './xml-text.js';

/** Where repositories keep the list of their metadata, and its signature. */
export const REPOMD = 'repodata/repomd.xml';
export const REPOMD_SIGNATURE = 'repodata/repomd.xml.asc';

/** A checksum as metadata states it. */
export interface Checksum {
  readonly type: string; // sha256, sha, sha1, sha512 …
  readonly value: string; // hexadecimal
}

/** One file of metadata that repomd.xml lists. */
export interface MetadataFile {
  readonly type: string; // primary, filelists, other, group, updateinfo …
  readonly href: string; // relative to the repository
  readonly checksum: Checksum;
  readonly size?: number; // bytes
  readonly openChecksum?: Checksum; // of the file decompressed
  readonly openSize?: number;
  readonly timestamp?: number; // seconds
}

/** A repomd.xml. */
export interface Repomd {
  readonly revision?: string;
  readonly files: readonly MetadataFile[]; // in order
}

/** Reads a repomd.xml; `where` names it. Throws RepoError BAD_METADATA. */
export function parseRepomd(text: string, where: string): Repomd {
  if (!/<repomd[\s>]/.test(text)) {
    throw new RepoError('BAD_METADATA', `${where}: no <repomd> in it; it is not a repository’s metadata`);
  }
  const files = [...text.matchAll(/<data\s([^>]*)>(.*?)<\/data>/gs)].map(([, tag = '', body = '']) =>
    parseData(attributesOf(tag).get('type') ?? '', body, where),
  );
  const revision = elementText(text.replace(/<data\s.*<\/data>/s, ''), 'revision');
  return { ...(revision === undefined ? {} : { revision }), files };
}

function parseData(type: string, body: string, where: string): MetadataFile {
  const href = elementAttributes(body, 'location')?.get('href');
  const checksum = checksumOf(body, 'checksum');
  if (href === undefined || checksum === undefined || type === '') {
    throw new RepoError(
      'BAD_METADATA',
      `${where}: an entry without type, location or checksum; make it again with: rackboot repo build`,
    );
  }
  if (!isInside(href)) {
    throw new RepoError('BAD_METADATA', `${where}: ${type} lies at ${href}, which is outside the repository`);
  }
  const openChecksum = checksumOf(body, 'open-checksum');
  return {
    type,
    href,
    checksum,
    ...numberOf(body, 'size', 'size'),
    ...(openChecksum === undefined ? {} : { openChecksum }),
    ...numberOf(body, 'open-size', 'openSize'),
    ...numberOf(body, 'timestamp', 'timestamp'),
  };
}

function checksumOf(body: string, name: string): Checksum | undefined {
  const type = elementAttributes(body, name)?.get('type');
  const value = elementText(body, name);
  return type === undefined || value === undefined ? undefined : { type, value: value.toLowerCase() };
}

function numberOf<Key extends string>(
  body: string,
  name: string,
  key: Key,
): { readonly [K in Key]?: number } {
  const text = elementText(body, name);
  const value = Number(text);
  return text === undefined || !Number.isFinite(value)
    ? {}
    : ({ [key]: Math.floor(value) } as { [K in Key]?: number });
}

/** Whether a relative path stays below where it starts. */
export function isInside(href: string): boolean {
  return (
    href !== '' &&
    !href.startsWith('/') &&
    !/[\0\\]/.test(href) &&
    !href.split('/').some((part) => part === '..' || part === '.' || part === '')
  );
}

/** A repomd.xml of `files`. */
export function formatRepomd({ revision, files }: Repomd): string {
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">',
    ...(revision === undefined ? [] : [`  <revision>${encodeXml(revision)}</revision>`]),
  ];
  for (const file of files) {
    lines.push(
      `  <data type="${encodeXml(file.type)}">`,
      `    <checksum type="${encodeXml(file.checksum.type)}">${encodeXml(file.checksum.value)}</checksum>`,
      ...(file.openChecksum === undefined
        ? []
        : [
            `    <open-checksum type="${encodeXml(file.openChecksum.type)}">${encodeXml(file.openChecksum.value)}</open-checksum>`,
          ]),
      `    <location href="${encodeXml(file.href)}"/>`,
      ...optional('timestamp', file.timestamp),
      ...optional('size', file.size),
      ...optional('open-size', file.openSize),
      '  </data>',
    );
  }
  return [...lines, '</repomd>', ''].join('\n');
}

function optional(name: string, value: number | undefined): string[] {
  return value === undefined ? [] : [`    <${name}>${value}</${name}>`];
}

/** The SHA-256 that a checksum states, or undefined when it is of another type. */
export function sha256Of(checksum: Checksum): Digest | undefined {
  return checksum.type === 'sha256' ? asDigest(checksum.value) : undefined;
}
