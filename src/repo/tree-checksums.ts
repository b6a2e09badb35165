import type { RepoFiles } from './files.js';
import { hashOf } from './metadata.js';
import { isInside } from './repomd.js';
import { TREEINFO, type Treeinfo } from './treeinfo.js';

/** What the checksums that a `.treeinfo` lists are about, against what its tree holds. */
export interface CheckedChecksums {
  readonly findings: readonly string[]; // a line for each that is not its file’s
  readonly missing: readonly string[]; // files that are listed and not there
}

/** Reads every file that [checksums] lists, and compares its checksum. */
export async function checkChecksums(
  files: RepoFiles,
  { sections, checksummed }: Treeinfo,
): Promise<CheckedChecksums> {
  const stated = sections.get('checksums');
  const findings: string[] = [];
  const missing: string[] = [];
  for (const name of checksummed) {
    const [, type = '', value = ''] =
      /^([a-z0-9]+):([0-9a-f]+)$/i.exec(stated?.get(name.toLowerCase()) ?? '') ?? [];
    const hash = hashOf(type.toLowerCase());
    if (!isInside(name)) {
      findings.push(`${files.where}/${TREEINFO}: [checksums] ${name} lies outside the tree; remove the line`);
      continue;
    }
    const source = await files.read(name);
    if (source === undefined) missing.push(name);
    else if (hash === undefined)
      findings.push(
        `${files.where}/${TREEINFO}: [checksums] ${name} is no TYPE:HEX that is known; write sha256:…`,
      );
    else {
      for await (const chunk of source) hash.update(chunk);
      if (hash.digest('hex') !== value.toLowerCase())
        findings.push(
          `${files.where}/${name}: not the file that ${TREEINFO} means (its ${type} differs); fetch it again, or list it anew in [checksums]`,
        );
    }
  }
  return { findings, missing };
}
