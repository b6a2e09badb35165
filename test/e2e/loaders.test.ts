import test from 'ava';
import { bootOnce, openBootSite } from '../boot/boot-once.js';
import { paths, type BootPath } from '../boot/paths.js';
import type { LabSite } from './lab-site.js';

/** The two that have most in them; `npm run test:boot` boots all. */
const pathTo = (loader: string): BootPath => {
  const path = paths.find((each) => each.loader === loader);
  if (path === undefined) throw new Error(`no path by ${loader}`);
  return path;
};
const pxelinux = pathTo('PXELINUX');
const shim = pathTo('shim, GRUB');

let site: LabSite;

test.before(async (t) => {
  t.timeout(120_000);
  site = await openBootSite([pxelinux, shim], ['single']);
});

test.after.always(async () => {
  await site?.close();
});

test.serial('a BIOS machine boots Xen by PXELINUX, with the archive that was changed', async (t) => {
  await bootOnce(t, site, pxelinux, { layout: 'single', entry: 'xen' });
});

test.serial('a machine under Secure Boot boots Linux by shim and the signed GRUB', async (t) => {
  await bootOnce(t, site, shim, { layout: 'single', entry: 'linux' });
});
