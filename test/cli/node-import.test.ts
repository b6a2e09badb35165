import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { newSite } from './in-process.js';

const stanza = `# <xCAT data object stanza file>

n01:
    objtype=node
    arch=x86_64
    groups=all,compute
    ip=10.1.0.1
    mac=52:54:00:00:00:01
    netboot=xnba

n02:
    objtype=node
    arch=aarch64
    groups=all,compute
    ip=10.1.0.2
    mac=52:54:00:00:00:02
`;

test('import, show -z, and import again', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const file = join(dir, 'nodes.stanza');
  await writeFile(file, stanza);
  t.deepEqual(await rackboot('node', 'import', file, '--dry-run'), {
    status: 0,
    out: 'dry run: nothing is changed\nn[01-02]: new\n',
    err: '',
  });
  t.regex((await rackboot('node', 'ls')).out, /^no node yet/);
  t.is((await rackboot('node', 'import', file)).out, 'n[01-02]: new\n');
  t.is((await rackboot('node', 'show', 'all', '-z')).out, stanza);
  t.is((await rackboot('node', 'import', file)).out, 'n[01-02]: unchanged\n');
  await writeFile(file, 'node,mac\nn01,525400000002\nn02,525400000001\n');
  t.is((await rackboot('node', 'import', file)).out, 'n[01-02]: changed mac\n');
  await writeFile(file, 'node,mac\nn01,525400000001\nn03,525400000003\n');
  const refused = await rackboot('node', 'import', file);
  t.is(refused.status, 1);
  t.regex(refused.err, /nothing is imported: n01: MAC 52:54:00:00:00:01 belongs to node n02/);
  t.is((await rackboot('nodels')).out, 'n01\nn02\n');
});

test('a directory of table dumps; attributes by table and column; compressed output', async (t) => {
  const { dir, rackboot, json } = await newSite(t);
  const dump = join(dir, 'xcatdb');
  await mkdir(dump);
  await writeFile(
    join(dump, 'nodelist.csv'),
    '#node,groups,comments,disable\n"r1n1","all",,\n"r1n2","all",,\n"r2n1","all",,\n"r2n2","all",,\n',
  );
  await writeFile(
    join(dump, 'nodetype.csv'),
    '#node,os,arch,profile,provmethod,comments,disable\n"all","rocky9.4","x86_64",,,,\n',
  );
  await writeFile(join(dump, 'site.csv'), '#key,value\n"master","10.0.0.1"\n');
  const { err } = await rackboot('node', 'import', dump);
  t.regex(err, /^r\[1-2\]n\[1-2\]: no MAC address/);
  t.is((await rackboot('node', 'set', 'all', '--attr', 'xcatmaster=')).status, 0);
  t.is((await rackboot('nodels', 'all', '--compress')).out, 'r[1-2]n[1-2]\n');
  t.is(
    (await rackboot('nodels', 'r1n1', 'nodetype.os', 'arch')).out,
    'r1n1: nodetype.os: rocky9.4\nr1n1: arch: x86_64\n',
  );
  t.is((await rackboot('nodels', 'r1n1,r2n1', 'os')).out, 'r1n1: rocky9.4\nr2n1: rocky9.4\n');
  t.deepEqual(await json('nodels', 'nodetype.arch==x86_64,-r2n[1-2]'), ['r1n1', 'r1n2']);
});

test('dynamic groups follow the attributes of nodes', async (t) => {
  const { dir, rackboot, json } = await newSite(t);
  const file = join(dir, 'nodes.stanza');
  await writeFile(file, stanza);
  await rackboot('node', 'import', file);
  t.is(
    (await rackboot('group', 'set', 'arm', '-w', 'arch==aarch64', '-w', 'groups=~compute')).out,
    'group arm: n02\n',
  );
  t.is((await rackboot('nodels', 'compute,-arm')).out, 'n01\n');
  await rackboot('node', 'set', 'n01', '--attr', 'arch=aarch64');
  t.is((await rackboot('nodels', 'arm', '--compress')).out, 'n[01-02]\n');
  await rackboot('group', 'set', 'spare');
  t.is(
    (await rackboot('group', 'ls')).out,
    `GROUP    BY                                 MEMBERS
all      list                               n[01-02]
arm      arch==aarch64 and groups=~compute  n[01-02]
compute  list                               n[01-02]
spare    list                               -
`,
  );
  t.regex((await rackboot('nodels', 'spare')).err, /selects no node/);
  t.is((await rackboot('group', 'rm', 'arm')).status, 0);
  t.regex((await rackboot('nodels', 'arm')).err, /no node or group called arm/);
  t.regex((await rackboot('group', 'rm', 'arm')).err, /no group 'arm' is defined/);
  t.is((await rackboot('group', 'set', 'x', '-w', 'arch')).status, 2);
  t.like(await json('group', 'ls'), [{ name: 'all' }, { name: 'compute' }, { name: 'spare', members: [] }]);
});
