import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { expandNoderange, readCompatNoderange, type NodeDirectory } from '../../src/node/noderange.js';

interface Database {
  readonly nodes: Record<string, Record<string, string>>;
  readonly groups: Record<string, string[]>;
  readonly emptygroups?: string[];
  readonly dynamicgroups?: Record<string, string>;
}
interface Case {
  readonly db: string;
  readonly input: string;
  readonly verify: boolean;
  readonly expected: string[];
  readonly missed: string[];
  readonly env?: { XCAT_NODE_PREFIX?: string; XCAT_NODE_SUFFIX?: string };
  readonly files?: Record<string, string>;
  readonly excludenodes?: string;
  readonly error?: string;
}
const observed = JSON.parse(
  readFileSync(new URL('../../../test/node/fixtures/noderange.json', import.meta.url), 'utf8'),
) as { dbs: Record<string, Database>; cases: Case[] };

const SHORT_NAMES: Record<string, string> = {
  mgt: 'nodehm.mgt',
  arch: 'nodetype.arch',
  groups: 'nodelist.groups',
};

/** xCAT's tables as a directory. A column exists when some node, or the schema below, has it. */
function directoryOf(db: Database, files: Record<string, string> = {}): NodeDirectory {
  const nodes = Object.keys(db.nodes);
  const columns = new Set(['nodehm.mgt', ...nodes.flatMap((node) => Object.keys(db.nodes[node] ?? {}))]);
  const column = (name: string): ((node: string) => string) | undefined => {
    const full = SHORT_NAMES[name] ?? name;
    return columns.has(full) ? (node) => db.nodes[node]?.[full] ?? '' : undefined;
  };
  const dynamic = (selection: string): string[] => {
    const [, name = '', operator = '', value = ''] = /^(\w+)(==|=~)(.*)$/.exec(selection) ?? [];
    const valueOf = column(name) ?? (() => '');
    return nodes.filter((n) =>
      operator === '==' ? valueOf(n) === value : new RegExp(value).test(valueOf(n)),
    );
  };
  return {
    nodes,
    has: (name) => name in db.nodes,
    group: (name) => {
      const selection = db.dynamicgroups?.[name];
      if (selection !== undefined) return dynamic(selection);
      return db.groups[name] ?? (db.emptygroups?.includes(name) === true ? [] : undefined);
    },
    column,
    readList: (path) => files[path.replace(/^\/tmp\//, '')],
  };
}

for (const [at, row] of observed.cases.entries()) {
  test(`xCAT case ${at}: ${row.db}: ${row.input}${row.verify ? '' : ' (no verify)'}`, (t) => {
    const db = observed.dbs[row.db];
    if (db === undefined) throw new Error(`no database ${row.db}`);
    const read = () =>
      readCompatNoderange(row.input, directoryOf(db, row.files), {
        verify: row.verify,
        ...(row.excludenodes === undefined ? {} : { exclude: row.excludenodes }),
        ...(row.env?.XCAT_NODE_PREFIX === undefined ? {} : { prefix: row.env.XCAT_NODE_PREFIX }),
        ...(row.env?.XCAT_NODE_SUFFIX === undefined ? {} : { suffix: row.env.XCAT_NODE_SUFFIX }),
      });
    if (row.error !== undefined) {
      t.throws(read, { message: row.error });
      return;
    }
    const { nodes, missed } = read();
    t.deepEqual(nodes, row.expected);
    t.deepEqual([...missed].sort(), [...row.missed].sort());
  });
}

const small: NodeDirectory = {
  nodes: ['n1', 'n2', 'n3', 'n4', 'r1u1', 'r1u2', 'web-1', 'web-2'],
  has(name) {
    return this.nodes.includes(name);
  },
  group: (name) => ({ rack1: ['n1', 'n2'], odd: ['n1', 'n3'], none: [] })[name],
  column: (name) => (name === 'arch' ? (node) => (node.startsWith('n') ? 'x86_64' : '') : undefined),
  readList: (path) => (path === '/list' ? '# two of them\nn1 \nn3 # third\n' : undefined),
};

const strict: readonly (readonly [string, string])[] = [
  ['n1', 'n1'],
  ['n3, n1', 'n1,n3'],
  ['n[1-3]', 'n1,n2,n3'],
  ['n1-n3', 'n1,n2,n3'],
  ['n[1,3-4]', 'n1,n3,n4'],
  ['rack1', 'n1,n2'],
  ['rack1,odd', 'n1,n2,n3'],
  ['n[1-4],-rack1', 'n3,n4'],
  ['rack1@odd', 'n1'],
  ['(rack1,n4),-odd', 'n2,n4'],
  ['r1u[1-2]', 'r1u1,r1u2'],
  ['web-[1-2]', 'web-1,web-2'],
  ['web-1-web-2', 'web-1,web-2'],
  ['arch==x86_64,-n1', 'n2,n3,n4'],
  ['^/list', 'n1,n3'],
  ['rack1,-^/list', 'n2'],
  ['rack1,@^/list', 'n1'],
  ['/n[34]', 'n3,n4'],
];
for (const [text, expected] of strict) {
  test(`strict: ${text} is ${expected}`, (t) => {
    t.is(expandNoderange(text, small).join(','), expected);
  });
}

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['n9', 'UNKNOWN_NODES', /no node or group called n9; nothing was done\. Did you mean 'n1'/],
  ['n1,n[4-6]', 'UNKNOWN_NODES', /called n5, n6; nothing was done/],
  ['n1,-n9', 'UNKNOWN_NODES', /n9/],
  ['', 'EMPTY_NODERANGE', /selects no node/],
  ['none', 'EMPTY_NODERANGE', /selects no node/],
  ['n1,-n1', 'EMPTY_NODERANGE', /selects no node/],
  ['-n1', 'EMPTY_NODERANGE', /selects no node/],
  ['n[3-1]', 'BAD_NODERANGE', /counts downwards/],
  ['n1,n3-n1', 'BAD_NODERANGE', /counts downwards/],
  ['n1,^/missing', 'BAD_NODERANGE', /cannot read the node list \/missing/],
  ['n1,rank==3', 'BAD_NODERANGE', /no node has an attribute 'rank'/],
  ['/n[', 'BAD_NODERANGE', /not a regular expression/],
  ['(n1', 'BAD_NODERANGE', /Unbalanced/],
  ['n1-n99999999999999999999', 'TOO_MANY_NODES', /more than 100000/],
  ['n[1-999]x[1-999]', 'TOO_MANY_NODES', /more than 100000/],
  ['n1+999999999', 'TOO_MANY_NODES', /more than 100000/],
  ['('.repeat(100) + ')'.repeat(100), 'BAD_NODERANGE', /too deeply/],
];
for (const [text, code, message] of refused) {
  test(`strict refuses ${text.slice(0, 40)}`, (t) => {
    const error = t.throws(() => expandNoderange(text, small), { message });
    t.is((error as { code?: string }).code, code);
    t.false(error?.message.includes('\n'));
  });
}

test('any text gives nodes of the directory or a NodeError', (t) => {
  const letters = fc.constantFrom(...'n1234r[]()-,@:+/=~^!ouweback '.split(''));
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 24 }), (text) => {
      try {
        const nodes = expandNoderange(text, small);
        return nodes.length > 0 && nodes.every((node) => small.has(node));
      } catch (error) {
        return error instanceof Error && error.name === 'NodeError';
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('10,000 nodes expand through a bracket, a range and a group', (t) => {
  const nodes = Array.from({ length: 10_000 }, (_, n) => `n${String(n).padStart(5, '0')}`);
  const known = new Set(nodes);
  const directory: NodeDirectory = {
    nodes,
    has: (n) => known.has(n),
    group: (g) => (g === 'all' ? nodes : undefined),
  };
  t.is(expandNoderange('n[00000-09999]', directory).length, 10_000);
  t.is(expandNoderange('n00000-n09999,-n00001', directory).length, 9_999);
  t.is(expandNoderange('all@n[00010-00019]', directory).length, 10);
});
