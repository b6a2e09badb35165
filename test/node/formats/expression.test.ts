import test from 'ava';
import fc from 'fast-check';
import { expandValue } from '../../../src/node/formats/expression.js';

// The examples of xCAT's man page xcatdb(5), and its rules.
const rows: readonly (readonly [string, string, string | undefined])[] = [
  ['ipmi', 'node1', 'ipmi'],
  ['/install/postscripts', 'node1', '/install/postscripts'],
  ['/\\z/-bmc/', 'node1', 'node1-bmc'],
  ['|node(\\d+)|10.0.0.($1+0)|', 'node7', '10.0.0.7'],
  ['|node(\\d+)|10.0.0.($1+0)|', 'node007', '10.0.0.7'],
  ["|\\D+(\\d+)|cmm(sprintf('%02d',($1-1)/14+1))|", 'node20', 'cmm02'],
  ['|\\D+(\\d+)|(($1-1)%14+1)|', 'node20', '6'],
  ['|r(\\d+)u(\\d+)|10.$1.($2*2).1|', 'r3u4', '10.3.8.1'],
  ['|node(\\d+)|10.0.0.($1+0)|', 'login', undefined],
  ['|10.0.0.($1+100)|', 'node7', '10.0.0.107'],
  ['/node(\\d+)/sw${1}/', 'node7', 'sw7'],
];
for (const [value, node, expanded] of rows) {
  test(`${value} for ${node}`, (t) => {
    t.is(expandValue(value, node), expanded);
  });
}

for (const value of [
  '|n(\\d+)|($1+|',
  '|n(\\d+)|($1/0)|',
  '|n(|x|',
  '|n(\\d+)|(system)|',
  '|n(\\d+)|' + '('.repeat(50) + '1|',
]) {
  test(`refuses ${value.slice(0, 30)}`, (t) => {
    t.throws(() => expandValue(value, 'n1'), { name: 'NodeError', message: /cannot be computed/ });
  });
}

test('nothing but a NodeError comes out of any value', (t) => {
  const value = fc.string({
    unit: fc.constantFrom('|', '/', '(', ')', '$', '1', '+', '%', 'd', '\\', "'", ','),
  });
  fc.assert(
    fc.property(value, (text) => {
      try {
        expandValue(text, 'n1');
      } catch (error) {
        t.is((error as Error).name, 'NodeError');
      }
      t.pass();
    }),
  );
});
