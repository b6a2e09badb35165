import { readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { bootTftpFiles } from '../../../src/pxe/boot/tftp-files.js';
import { normalizePath } from '../../../src/pxe/tftp/path.js';
import { ask, runSite } from '../http/running-site.js';

const IPXE = '/usr/lib/ipxe';

/** The links in the directory that loaders come from which lead to what is no loader. */
async function strayLinks(): Promise<string[]> {
  const entries = await readdir(IPXE, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isSymbolicLink() && entry.name.endsWith('.rom'))
    .map(({ name }) => name);
}

test('no name leads through a symbolic link of a directory, by TFTP or HTTP', async (t) => {
  const site = await runSite(t, { xcat: { paths: 'on' } });
  await site.publish({ name: 'd12', files: { linux: Buffer.from('kernel') } });
  const secret = join(site.dir, 'secret');
  await writeFile(secret, 'not to be served');
  for (const place of ['', 'store', 'store/packs', 'loaders', 'images', 'tftpboot'])
    await symlink(secret, join(site.dir, place, 'link')).catch((error: NodeJS.ErrnoException) =>
      t.is(error.code, 'ENOENT'),
    );
  await symlink('/', join(site.dir, 'root'));
  const stray = await strayLinks();
  t.true(stray.length > 0, `${IPXE} of the Debian package ipxe has links`);
  const files = bootTftpFiles(site.servers.service);
  for (const name of [
    'link',
    'store/link',
    'store/packs/link',
    'loaders/link',
    'images/link',
    'images/d12/files/link',
    'images/d12/files/../../../link',
    'tftpboot/link',
    'root/etc/hostname',
    'loaders/root/etc/hostname',
    ...stray.flatMap((rom) => [rom, `loaders/${rom}`]),
  ]) {
    const path = normalizePath(Buffer.from(name));
    const file =
      path === undefined ? undefined : await files.open(path, { address: '127.0.0.1', port: 2000 });
    t.is(file, undefined, `${name} by TFTP`);
    const { status, text } = await ask(site, `/${name}`);
    t.true(status >= 400, `${name} by HTTP: ${status}`);
    t.false(text.includes('not to be served'));
  }
});

test('a loader that its own package keeps elsewhere is served', async (t) => {
  const target = await readlink(join(IPXE, 'ipxe.efi'));
  const site = await runSite(t);
  const files = bootTftpFiles(site.servers.service);
  const file = await files.open('ipxe.efi', { address: '127.0.0.1', port: 2000 });
  if (file === undefined) throw new Error('no ipxe.efi');
  const parts: Buffer[] = [];
  for await (const part of file.read(0, file.size)) parts.push(Buffer.from(part));
  await file.close();
  const expected = await readFile(target);
  t.true(Buffer.concat(parts).equals(expected));
  t.true((await ask(site, '/loaders/ipxe.efi')).body.equals(expected));
});
