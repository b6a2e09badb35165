import test from 'ava';
import { bootTftpFiles } from '../../../src/pxe/boot/tftp-files.js';
import { normalizePath } from '../../../src/pxe/tftp/path.js';
import { mutate, randomFrom } from '../dhcp/random.js';
import { runSite } from '../http/running-site.js';

/** Names that are asked for by TFTP, good ones and some that mean another's. */
const names: readonly string[] = [
  'pxelinux.cfg/01-52-54-00-00-00-01',
  'pxelinux.cfg/01-52-54-00-00-00-02',
  'pxelinux.cfg/4c4c4544-0042-3510-8054-b4c04f4d3132',
  'pxelinux.cfg/7F00000B',
  'pxelinux.cfg/default',
  'grub/grub.cfg',
  'grub.cfg-01-52-54-00-00-00-02',
  'nodes/n1/pxelinux.cfg',
  'nodes/n2/grub.cfg',
  'nodes/n2/answerfile',
  'images/d12/files/linux',
  'loaders/undionly.kpxe',
  '../state.db',
  'run.key',
];

test('by whatever name a node asks over TFTP, it gets no token of another', async (t) => {
  const site = await runSite(t, { xcat: { paths: 'on' } });
  const nodes = [
    {
      name: 'n1',
      macs: ['52:54:00:00:00:01'],
      ip: '127.0.0.11',
      uuid: '4c4c4544-0042-3510-8054-b4c04f4d3132',
    },
    { name: 'n2', macs: ['52:54:00:00:00:02'], ip: '127.0.0.12' },
  ];
  for (const node of nodes) await site.addNode(node);
  await site.publish({ name: 'd12', answer: 'x' });
  for (const { name } of nodes) await site.assign(name, {});
  const files = bootTftpFiles(site.servers.service);
  const random = randomFrom(1350);
  const tokens = { n1: 0, n2: 0, stranger: 0 };
  for (let number = 0; number < 6000; number += 1) {
    const name = Buffer.from(names[number % names.length] ?? '', 'latin1');
    const path = normalizePath(random() < 0.3 ? name : mutate(name, random));
    if (path === undefined) continue;
    const address = ['127.0.0.11', '127.0.0.12', '127.0.0.99'][Math.floor(random() * 3)] ?? '';
    const asker = nodes.find(({ ip }) => ip === address)?.name;
    const file = await files.open(path, { address, port: 2000 });
    if (file === undefined) continue;
    const parts: Buffer[] = [];
    if (file.size < 100_000) for await (const part of file.read(0, file.size)) parts.push(part);
    await file.close();
    for (const [, node = ''] of Buffer.concat(parts)
      .toString('latin1')
      .matchAll(/nodes\/(n\d)\/answerfile\?token=/g)) {
      if (node !== asker) tokens.stranger += 1;
      else if (node === 'n1' || node === 'n2') tokens[node] += 1;
    }
  }
  t.is(tokens.stranger, 0);
  t.true(tokens.n1 > 0 && tokens.n2 > 0, 'the nodes themselves do get them');
});
