import type { RepoFiles } from './files.js';
import { hashOf } from './metadata.js';
import { isInside } from './repomd.js';
import { TREEINFO, type Treeinfo } from './treeinfo.js';

/** What the checksums that a `.treeinfo` lists are about, against what its tree holds. */
export interface CheckedChecksums {
  readonly findings: readonly string[]; // a line for each that is not its file’s
  readonly missing: readonly string[]; // files that are listed and not there
  readonly notes: readonly string[]; // a line for each that is not its file’s, and need not be
}

/** What BIOS starts of Anaconda’s media: mkisofs -boot-info-table changes it on the ISO, after lorax took its checksum. */
const BOOT_IMAGES = ['isolinux/isolinux.bin', 'images/eltorito.img'];
/** Where a boot-info table holds the size of the image that it lies in (genisoimage(1), EL TORITO BOOT INFORMATION TABLE). */
const SIZE_AT = 16;

/** What mends a checksum that is not its file’s, where nothing else is known. */
const MEND = 'fetch it again, or list it anew in [checksums]';

/** Reads every file that [checksums] lists, and compares its checksum; `mend` says what mends one that is not its file’s. */
export async function checkChecksums(
  files: RepoFiles,
  { sections, checksummed }: Treeinfo,
  mend = MEND,
): Promise<CheckedChecksums> {
  const stated = sections.get('checksums');
  const findings: string[] = [];
  const missing: string[] = [];
  const notes: string[] = [];
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
      let [head, size] = [Buffer.alloc(0), 0];
      for await (const chunk of source) {
        hash.update(chunk);
        if (head.length < SIZE_AT + 4) head = Buffer.concat([head, chunk.subarray(0, SIZE_AT + 4)]);
        size += chunk.length;
      }
      if (hash.digest('hex') === value.toLowerCase()) continue;
      if (BOOT_IMAGES.includes(name) && holdsBootInfo(head, size))
        notes.push(
          `${name}: not the file that ${TREEINFO} means (its ${type} differs), but it holds the boot-info table that was written into it on the ISO`,
        );
      else
        findings.push(
          `${files.where}/${name}: not the file that ${TREEINFO} means (its ${type} differs); ${mend}`,
        );
    }
  }
  return { findings, missing, notes };
}

/** Whether a boot-info table is in a file of `size` bytes that begins with `head`. */
function holdsBootInfo(head: Buffer, size: number): boolean {
  return head.length >= SIZE_AT + 4 && head.readUInt32LE(SIZE_AT) === size;
}
