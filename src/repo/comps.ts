import { parseXml, XmlError } from '@rgrove/parse-xml';
import { RepoError } from './errors.js';
import { writeMetadata, type MetadataSink } from './metadata.js';
import type { MetadataFile } from './repomd.js';
import { decodeXml } from './xml-text.js';

/**
 * The groups of a comps.xml as repomd.xml lists them, plain and compressed as createrepo_c does: yum reads the one, dnf the
 * other. Throws RepoError BAD_METADATA, naming `file`, for what is no XML or holds no groups.
 */
export async function writeComps(
  comps: Buffer,
  file: string,
  sink: MetadataSink,
  timestamp: number,
): Promise<MetadataFile[]> {
  requireComps(comps.toString('utf8'), file);
  const source = async function* (): AsyncGenerator<Buffer> {
    yield comps;
  };
  const { digest, size } = await sink(source());
  const checksum = { type: 'sha256', value: digest };
  return [
    { type: 'group', href: `repodata/${digest}-comps.xml`, checksum, size, timestamp },
    await writeMetadata('group_gz', source(), sink, timestamp, { name: 'comps.xml' }),
  ];
}

function requireComps(text: string, file: string): void {
  try {
    const root = parseXml(text).root?.name;
    if (root === 'comps') return;
    throw new RepoError('BAD_METADATA', `${file}: <${root ?? ''}> is no list of groups; give a comps.xml`);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const [what = ''] = error.message.split('\n');
    throw new RepoError('BAD_METADATA', `${file}: ${what}; give a comps.xml, as XML`, { cause: error });
  }
}

/** Whether a metadata file holds groups. */
export function isGroups({ type }: MetadataFile): boolean {
  return type === 'group' || /^group_(?:gz|xz|zst|bz2)$/.test(type);
}

/** The packages that a comps.xml has in a group, by name. */
export function packagesInGroups(comps: string): Set<string> {
  return new Set(
    [...comps.matchAll(/<packagereq[^>]*>([^<]*)<\/packagereq>/g)].map(([, name = '']) =>
      decodeXml(name.trim()),
    ),
  );
}
