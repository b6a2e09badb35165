import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { newSite } from './in-process.js';

async function xcatSite(t: ExecutionContext) {
  const site = await newSite(t);
  const file = join(site.dir, 'nodes.csv');
  await writeFile(
    file,
    'node,mac,ip,groups,provmethod\nn1,525400000001,10.0.0.1,rack1,d12\nn2,525400000002,10.0.0.2,rack1,\nn3,,10.0.0.3,rack1,d12\n',
  );
  await site.rackboot('node', 'import', file);
  return site;
}

test('stat prints xCAT’s states for osimages with xCAT’s attributes', async (t) => {
  const { rackboot } = await xcatSite(t);
  await rackboot(
    'image',
    'set',
    'd12',
    'provmethod=netboot',
    'osvers=rocky9.4',
    'osarch=x86_64',
    'profile=compute',
  );
  await rackboot('nodeset', 'n1', 'osimage=d12');
  await rackboot('nodeset', 'n2', 'offline');
  t.is(
    (await rackboot('nodeset', 'n[1-3]', 'stat')).out,
    'n1: netboot rocky9.4-x86_64-compute\nn2: offline\nn3: boot\n',
  );
});

test('stat takes what an osimage implies, as image show does', async (t) => {
  const { dir, rackboot } = await xcatSite(t);
  const rootimgdir = join(dir, '..', 'compute');
  await mkdir(join(rootimgdir, 'rootimg/etc'), { recursive: true });
  await writeFile(join(rootimgdir, 'kernel'), 'kernel');
  await writeFile(join(rootimgdir, 'initrd-stateless.gz'), 'initrd');
  t.is((await rackboot('image', 'import', rootimgdir, '--name', 'c')).status, 0);
  await rackboot('image', 'set', 'c', 'osvers=rocky9.4', 'osarch=x86_64', 'profile=compute');
  t.regex((await rackboot('image', 'show', 'c', '-l')).out, /provmethod=netboot/);
  await rackboot('nodeset', 'n1', 'osimage=c');
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: netboot rocky9.4-x86_64-compute\n');
});

test('osimage alone is each node’s own; a node that lacks what it takes is told, the others are set', async (t) => {
  const { rackboot, json } = await xcatSite(t);
  const refused = await rackboot('nodeset', 'rack1', 'osimage');
  t.is(refused.status, 1);
  t.is(refused.out, 'n1: boot -> osimage d12\n');
  t.is(
    refused.err,
    `rack1 is 3 nodes: n[1-3]
n2: no osimage is named for it; write osimage=NAME, or set its attribute provmethod
n3: no MAC address is known of it; give it with: rackboot node set n3 --mac MAC
rackboot: 2 of 3 nodes cannot be set to that: n[2-3]; see the lines above
`,
  );
  t.like(await json('nodeset', 'rack1', 'stat'), [{ osimage: 'd12' }, { state: 'boot' }, { state: 'boot' }]);
  await rackboot('nodeset', 'n2', 'osimage=d12:rescue');
  await rackboot('nodeset', 'n2', 'boot');
  t.is((await rackboot('nodeset', 'n2', 'osimage')).out, 'n2: boot -> osimage d12\n');
});

test('a node’s provmethod follows nodeset where it has one', async (t) => {
  const { dir, rackboot } = await xcatSite(t);
  const store = await openStore(await openSite(dir));
  const osimage = await store.osimages.get('d12');
  const record = await store.osimages.generation('d12', osimage?.current ?? '');
  if (record === undefined) throw new Error('no d12');
  await store.osimages.publish(
    {
      osimage: 'other',
      family: 'generic',
      id: record.id,
      parent: null,
      note: 'x',
      manifest: record.manifest,
      blobs: [],
    },
    { create: true },
  );
  await store.close();
  await rackboot('nodeset', 'n[1-2]', 'osimage=other');
  t.is((await rackboot('nodels', 'n[1-2]', 'nodetype.provmethod')).out, 'n1: other\nn2: \n');
  t.is((await rackboot('nodels', 'nodetype.provmethod==other')).out, 'n1\n');
});

test('a chain, and what genesis does', async (t) => {
  const { dir, rackboot, json } = await xcatSite(t);
  const missing = await rackboot('nodeset', 'n1', 'shell');
  t.is(missing.status, 1);
  t.regex(
    missing.err,
    /shell boots the osimage 'genesis' \(xcat\.genesis in rackboot\.yaml\), and there is none/,
  );
  const config = join(dir, 'rackboot.yaml');
  await writeFile(config, (await readFile(config, 'utf8')).replace('genesis: genesis', 'genesis: d12'));
  t.is((await rackboot('nodeset', 'n1', 'shell')).out, 'n1: boot -> shell\n');
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: shell\n');
  t.is(
    (await rackboot('nodeset', 'n1', 'runcmd=bmcsetup,osimage=d12:rescue,boot', '--dry-run')).out,
    'dry run: nothing is changed\nn1: shell -> runcmd=bmcsetup, then osimage d12:rescue, then boot\n',
  );
  await rackboot('nodeset', 'n1', 'runcmd=bmcsetup,osimage');
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: runcmd=bmcsetup\n');
  t.like(await json('nodeset', 'n1', 'stat'), [
    { destiny: 'runcmd=bmcsetup', chain: [{ state: 'osimage', osimage: 'd12', entry: null }] },
  ]);
  t.is((await rackboot('nodeset', 'n1', 'runcmd=bmcsetup,osimage')).out, 'n1: unchanged\n');
  t.is((await rackboot('nodeset', 'n1', 'boot')).out, 'n1: runcmd=bmcsetup, then osimage d12 -> boot\n');
});

for (const [target, message] of [
  ['osimage=d12,osimage=d12@1', /a later step boots the generation that is current then; leave out @1/],
  ['netboot', /have been deprecated, use "osimage=<osimage_name>" instead/],
  ['boot,stat', /'stat' stands alone/],
  ['boot,osimage=d12', /boot ends a chain/],
  ['', /cannot set a node to ''/],
  ['runcmd=a,,boot', /cannot set a node to ''/],
  ['runcmd=a b', /cannot set a node to 'runcmd=a b'/],
  ['reset', /cannot set a node to 'reset'/],
] as const) {
  test(`refused as wrong usage: nodeset ${target}`, async (t) => {
    const { rackboot } = await xcatSite(t);
    const outcome = await rackboot('nodeset', 'n1', target);
    t.is(outcome.status, 2);
    t.regex(outcome.err, message);
    t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: boot\n');
  });
}

test('a later step that does not exist is refused at once', async (t) => {
  const { rackboot } = await xcatSite(t);
  const outcome = await rackboot('nodeset', 'n1', 'osimage=d12,osimage=nosuch');
  t.is(outcome.status, 1);
  t.regex(outcome.err, /no osimage "nosuch"/);
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, 'n1: boot\n');
});

test('status --history tells what happened to a node', async (t) => {
  const { rackboot, json } = await xcatSite(t);
  t.is((await rackboot('status', 'n1', '--history')).out, 'nothing happened yet\n');
  await rackboot('nodeset', 'n[1-2]', 'osimage=d12');
  await rackboot('nodeset', 'n1', 'boot');
  t.regex(
    (await rackboot('status', 'n[1-2]', '--history')).out,
    /^NODE +WHEN +STAGE +FROM +WHAT\nn1 .*nodeset +- +osimage d12\nn1 .*nodeset +- +boot\nn2 .*nodeset +- +osimage d12\n$/,
  );
  t.like(await json('status', 'n2', '--history'), [{ node: 'n2', stage: 'nodeset' }]);
  t.is((await rackboot('status', '--watch', '--history')).status, 2);
});
