import test from 'ava';
import { collect } from '../../../src/image/chunks.js';
import { pathToText } from '../../../src/image/cpio/path.js';
import type { Edit } from '../../../src/image/edit.js';
import {
  brandingLinks,
  initEdits,
  removals,
  serviceEdits,
  shadowEdits,
} from '../../../src/osimage/create/root-edits.js';
import { rootImage } from './root-image.js';

async function shown(edits: readonly Edit[]): Promise<string[]> {
  const lines: string[] = [];
  for (const edit of edits) {
    if (edit.op === 'delete') lines.push(`- ${pathToText(edit.path)}`);
    else if (edit.op === 'put' && edit.target !== undefined)
      lines.push(`${pathToText(edit.path)} -> ${edit.target}`);
    else if (edit.op === 'put')
      lines.push(
        `${pathToText(edit.path)} ${(edit.mode & 0o7777).toString(8)} ${JSON.stringify((await collect(edit.content.read())).toString())}`,
      );
  }
  return lines;
}

test('what an installer does without, and what chance left, is taken out where it is there', async (t) => {
  const image = rootImage({
    '/usr/bin/journalctl': 'x',
    '/usr/bin/rpm': 'x',
    '/usr/share/locale/de/x.mo': 'x',
    '/boot/vmlinuz-4.19': 'x',
    '/boot/grub/grub.cfg': 'x',
    '/usr/lib/python2.7/a.py': 'x',
    '/usr/lib/python2.7/a.pyc': 'x',
    '/usr/lib/python3/__pycache__/b.cpython-39.pyc': 'x',
    '/opt/own.pyc': 'x',
    '/etc/ssh/ssh_host_rsa_key': 'secret',
    '/etc/ssh/sshd_config': 'x',
    '/etc/machine-id': '0123\n',
    '/etc/yum/yum.conf': '[main]\n',
    '/etc/shadow-': 'x',
  });
  t.deepEqual((await shown(removals(image))).sort(), [
    '- /boot/grub',
    '- /boot/vmlinuz-4.19',
    '- /etc/shadow-',
    '- /etc/ssh/ssh_host_rsa_key',
    '- /usr/bin/journalctl',
    '- /usr/lib/python2.7/a.pyc',
    '- /usr/lib/python3/__pycache__',
    '- /usr/lib/python3/__pycache__/b.cpython-39.pyc',
    '- /usr/share/locale',
    '/etc/machine-id 644 ""',
    '/etc/yum/yum.conf 644 ""',
  ]);
});

test('no password was changed after the image’s day', async (t) => {
  const text = 'root:!:19000:0:99999:7:::\nnew:!:20001::::::\nnever:*:::::::\n';
  const image = rootImage({ '/etc/shadow': text }, {}, { '/etc/shadow': 0 });
  t.deepEqual(await shown(await shadowEdits(image, 20_000 * 86_400 + 5)), [
    '/etc/shadow 0 "root:!:19000:0:99999:7:::\\nnew:!:20000::::::\\nnever:*:::::::\\n"',
  ]);
  t.deepEqual(await shadowEdits(image, 20_001 * 86_400), []);
  t.deepEqual(await shadowEdits(rootImage({}), 0), []);
});

test('/init is the package’s, or leads to the system’s own', async (t) => {
  t.deepEqual(await shown(initEdits(rootImage({}))), ['/init -> /sbin/init']);
  t.deepEqual(initEdits(rootImage({ '/init': '#!/bin/sh\n' })), []);
});

test('the installer finds licence and product by its own names, where it is there', async (t) => {
  const files = { '/EULA': 'x', '/usr/lib/python3.6/site-packages/xcp/branding.py': 'x' };
  t.deepEqual(brandingLinks(rootImage(files)), []);
  const installer = { ...files, '/opt/xensource/installer/init': 'x' };
  t.deepEqual(await shown(brandingLinks(rootImage(installer))), [
    '/opt/xensource/installer/EULA -> ../../../EULA',
    '/opt/xensource/installer/version.py -> /usr/lib/python3.6/site-packages/xcp/branding.py',
  ]);
  const branded = { ...installer, '/opt/xensource/installer/version.py': 'x' };
  t.deepEqual(await shown(brandingLinks(rootImage(branded))), [
    '/opt/xensource/installer/EULA -> ../../../EULA',
  ]);
});

test('services are set where systemd starts the image, and nowhere else', async (t) => {
  const units = '/usr/lib/systemd/system';
  const install = '[Install]\nWantedBy=multi-user.target\n';
  const files = { [`${units}/installer.service`]: install, [`${units}/getty@.service`]: install };
  const links = { '/etc/systemd/system/multi-user.target.wants/chronyd.service': `${units}/chronyd.service` };
  t.deepEqual(await serviceEdits(rootImage(files, links)), []);
  const system = { ...files, '/usr/lib/systemd/systemd': 'x' };
  const wants = '/etc/systemd/system/multi-user.target.wants';
  t.deepEqual(await shown(await serviceEdits(rootImage(system, links))), [
    `- ${wants}/chronyd.service`,
    `${wants}/installer.service -> ${units}/installer.service`,
    `${wants}/getty@tty2.service -> ${units}/getty@.service`,
  ]);
  const own = { ...system, [`${units}/installer-getty@.service`]: install };
  t.true(
    (await shown(await serviceEdits(rootImage(own)))).includes(
      `${wants}/installer-getty@tty2.service -> ${units}/installer-getty@.service`,
    ),
  );
  await t.throwsAsync(serviceEdits(rootImage({ '/usr/lib/systemd/systemd': 'x' })), { code: 'BAD_SOURCE' });
});
