import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { sha256 } from '../../src/store/digest.js';

/** Writes repository metadata for the packages at `hrefs` below `dir`. */
export async function writeRepodata(dir: string, hrefs: readonly string[]): Promise<void> {
  const entries = await Promise.all(
    hrefs.map(async (href, at) => {
      const bytes = await readFile(join(dir, href));
      return `<package type="rpm"><name>p${at}</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">${sha256(bytes)}</checksum><time file="1" build="1"/><size package="${bytes.length}" installed="1" archive="1"/><location href="${href}"/></package>`;
    }),
  );
  const primary = gzipSync(
    `<?xml version="1.0"?><metadata packages="${entries.length}">${entries.join('\n')}</metadata>`,
  );
  await mkdir(join(dir, 'repodata'), { recursive: true });
  await writeFile(join(dir, 'repodata/primary.xml.gz'), primary);
  await writeFile(
    join(dir, 'repodata/repomd.xml'),
    `<?xml version="1.0"?><repomd><data type="primary"><checksum type="sha256">${sha256(primary)}</checksum><location href="repodata/primary.xml.gz"/><size>${primary.length}</size></data></repomd>`,
  );
}

/** Writes a supplemental pack of XCP-ng, a driver disk, into `dir`. */
export async function writeDriverDisk(dir: string): Promise<void> {
  await mkdir(join(dir, 'Packages'), { recursive: true });
  await writeFile(
    join(dir, 'update.xml'),
    '<update control="control-e1000e" name-label="e1000e" version="1"/>',
  );
  await writeFile(join(dir, 'Packages/e1000e.rpm'), 'a driver');
  await writeRepodata(dir, ['Packages/e1000e.rpm']);
}
