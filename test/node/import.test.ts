import test from 'ava';
import fc from 'fast-check';
import { planImport, summarizeImport, type ImportBase } from '../../src/node/import.js';
import { listObjects } from '../../src/node/formats/lsdef.js';
import { parseNode, readNode } from '../../src/node/nodes.js';
import { STATE_ATTRIBUTES } from '../../src/node/xcat/attributes.js';
import { nodeObject } from '../../src/node/xcat/node-object.js';

const nothing: ImportBase = { nodes: [], groups: [] };
const file = (name: string, ...lines: string[]) => ({ name, text: lines.join('\n') + '\n' });

const tables = [
  file(
    'nodelist.csv',
    '#node,groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,updatestatustime,zonename,comments,disable',
    '"n01","compute,all","booted","01-02-2026 10:00:00",,,,,,,,"rack 1, left",',
    '"n02","compute,all",,,,,,,,,,,',
    '"n03","compute,all",,,,,,,,,,,"1"',
  ),
  file(
    'x/mac.csv',
    '#node,interface,mac,comments,disable',
    '"n01",,"52:54:00:00:00:01!n01|52:54:00:00:00:91!*NOIP*",,',
  ),
  file(
    'dump1',
    '#node,ip,hostnames,otherinterfaces,comments,disable',
    '"compute","|\\D+(\\d+)|10.1.0.($1+0)|",,,,',
  ),
  file(
    'dump2',
    '#node,power,mgt,cons,termserver,termport,conserver,serialport,serialspeed,serialflow,getmac,cmdmapping,consoleondemand,comments,disable',
    '"compute",,"ipmi",,,,,"0","19200",,,,,,',
    '"n02",,,,,,,,"115200",,,,,,',
  ),
  file(
    'nodegroup.csv',
    '#groupname,grouptype,members,membergroups,wherevals,comments,disable',
    '"ipmis","dynamic","dynamic",,"mgt==ipmi::serialspeed=~^1",,',
  ),
];

test('tables are joined: rows for groups are inherited, expressions computed, disabled rows left out', (t) => {
  const plan = planImport(tables, nothing);
  t.deepEqual(plan.nodes, [
    {
      name: 'n01',
      macs: ['52:54:00:00:00:01'],
      ip: '10.1.0.1',
      uuid: null,
      serial: null,
      groups: ['all', 'compute'],
      attributes: { usercomment: 'rack 1, left', mgt: 'ipmi', serialport: '0', serialspeed: '19200' },
    },
    {
      name: 'n02',
      macs: [],
      ip: '10.1.0.2',
      uuid: null,
      serial: null,
      groups: ['all', 'compute'],
      attributes: { mgt: 'ipmi', serialport: '0', serialspeed: '115200' },
    },
  ]);
  t.deepEqual(plan.groups, [{ name: 'ipmis', where: ['mgt==ipmi', 'serialspeed=~^1'] }]);
  t.deepEqual(plan.notes, [
    'n02: no MAC address, so nothing can boot as one of them; give it with: rackboot node set NODE --mac MAC',
  ]);
  t.deepEqual(summarizeImport(plan), ['n[01-02]: new', 'group ipmis: mgt==ipmi and serialspeed=~^1']);
});

test('plain CSV changes what it names, and an import repeated changes nothing', (t) => {
  const before = planImport(tables, nothing).nodes;
  const more = file(
    'nodes.csv',
    'node,mac,rack,groups',
    'n02,525400000002,r1,"all,compute,gpu"',
    'n04,525400000004,r2,',
  );
  const plan = planImport([more], { nodes: before, groups: [] });
  t.deepEqual(summarizeImport(plan), ['n04: new', 'n02: changed groups, mac, rack']);
  t.deepEqual(plan.nodes.find(({ name }) => name === 'n02')?.attributes['serialspeed'], '115200');
  const again = planImport([more], {
    nodes: [...before.filter(({ name }) => name !== 'n02'), ...plan.nodes],
    groups: [],
  });
  t.deepEqual(summarizeImport(again), ['n[02,04]: unchanged']);
  t.deepEqual(again.nodes, []);
});

test('a stanza that a node was written as gives the same node', (t) => {
  const node = parseNode({
    name: 'n1',
    macs: ['525400000001', '525400000002'],
    ip: '10.0.0.1',
    uuid: '4c4c4544-0042-3510-8054-b4c04f4d3132',
    serial: 'SN 1',
    groups: ['rack1', 'all'],
    attributes: {
      switchport: 'sw1/Gi0/7',
      'nicips.eth1': '10.2.0.1',
      'prescripts-begin': 'a,b',
      addkcmdline: 'a=b c',
    },
  });
  const text = listObjects([{ name: 'n1', type: 'node', attributes: nodeObject(node) }], { kind: 'stanza' });
  t.regex(text, /\n {4}switch=sw1\n {4}switchport=Gi0\/7\n/);
  t.deepEqual(planImport([{ name: 'x', text }], nothing).nodes, [node]);
  t.deepEqual(planImport([{ name: 'x', text }], { nodes: [node], groups: [] }).unchanged, ['n1']);
});

test('a list of members puts nodes into a group; without one it is defined and empty', (t) => {
  const text =
    'n1:\n  objtype=node\n  mac=525400000001\n  groups=a\ng1:\n  objtype=group\n  members=n1\ng2:\n  objtype=group\n';
  const plan = planImport([{ name: 'x', text }], nothing);
  t.deepEqual(plan.nodes[0]?.groups, ['a', 'g1']);
  t.deepEqual(
    plan.groups.map(({ name }) => name),
    ['g1', 'g2'],
  );
});

for (const [files, message] of [
  [
    [file('x', 'n_1:', '  objtype=node', 'n2:', '  objtype=node', '  ip=10.0.0.999')],
    /^nothing is imported: n_1: .*RFC 1123.*; n2: .*10\.0\.0\.999/,
  ],
  [
    [file('x', 'node,mac', 'n1,525400000001', 'n2,525400000001')],
    /^nothing is imported: n2: MAC 52:54:00:00:00:01 belongs to node n1$/,
  ],
  [[file('x', 'a,b', '1,2')], /^x line 1: neither a stanza file/],
  [[file('x', 'node,b', '1,2,3')], /^x line 2: 3 fields, and the header has 2/],
  [[file('mac.csv', '#node,interface,mac,comments,disable', 'a,b,c,d,e,f')], /line 2: 6 fields/],
] as const) {
  test(`refuses ${message.source}`, (t) => {
    const error = t.throws(() => planImport(files, nothing), { name: 'NodeError', message });
    t.false(error?.message.includes('\n'));
  });
}

test('passwords are left out, and said so', (t) => {
  const plan = planImport(
    [
      file(
        'ipmi.csv',
        '#node,bmc,bmcport,taggedvlan,bmcid,username,password,comments,disable',
        '"n1","10.2.0.1",,,,"root","calvin",,',
      ),
      file('x', 'node,mac,passwd.HMC', 'n1,525400000001,secret'),
    ],
    nothing,
  );
  t.deepEqual(plan.nodes[0]?.attributes, { bmc: '10.2.0.1', bmcusername: 'root' });
  t.is(plan.notes[0], 'bmcpassword, passwd.HMC: left out, the database holds no passwords');
  t.false(JSON.stringify(plan).includes('calvin'));
});

test('a table that says nothing of nodes is left out, and said so', (t) => {
  const plan = planImport([file('site', '#key,value,comments,disable', '"master","10.0.0.1",,')], nothing);
  t.deepEqual(plan.notes, ['site: a table that says nothing of nodes; it is left out']);
});

test('any node survives being written as a stanza and read back', (t) => {
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,12}[!-~])?$/);
  const key = fc
    .stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/)
    .filter((name) => !/^(?:groups|ip|mac|serial|uuid|node|objtype|switch|switchport)$/.test(name))
    .filter((name) => !STATE_ATTRIBUTES.has(name) && !/passw/.test(name));
  const input = fc.record({
    name: word,
    macs: fc.uniqueArray(fc.stringMatching(/^52[0-9a-f]{10}$/), { maxLength: 3 }),
    ip: fc.option(fc.ipV4().filter((text) => Number(text.split('.')[0]) % 224 > 0)),
    serial: fc.option(value),
    groups: fc.uniqueArray(word, { maxLength: 4 }),
    attributes: fc.dictionary(key, value, { maxKeys: 5 }),
  });
  fc.assert(
    fc.property(input, (made) => {
      fc.pre(made.ip === null || Number(made.ip.split('.')[0]) < 224);
      const node = readNode(made);
      const text = listObjects([{ name: node.name, type: 'node', attributes: nodeObject(node) }], {
        kind: 'stanza',
      });
      t.deepEqual(planImport([{ name: 'x', text }], nothing).nodes, [node]);
    }),
  );
});

test('whatever a file holds, it is read or refused', (t) => {
  const piece = fc.constantFrom(
    ...[
      '#node,',
      'node,',
      'mac',
      'groups',
      '\n',
      '"',
      ',',
      'n1',
      'n1:',
      '    ',
      'objtype=node',
      '|n(\\d+)|($1+1)|',
      'a=b',
      '#',
      '52:54:00:00:00:01',
      '\t',
      '=',
    ],
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 40 }),
      fc.constantFrom('x', 'mac.csv', 'nodelist.csv'),
      (pieces, name) => {
        try {
          planImport([{ name, text: pieces.join('') }], nothing);
        } catch (error) {
          t.is((error as Error).name, 'NodeError', (error as Error).stack);
          t.false((error as Error).message.includes('\n'));
        }
        t.pass();
      },
    ),
    { numRuns: 2000 },
  );
});
