import test from 'ava';
import fc from 'fast-check';
import { mergeHandedLine } from '../../../src/node/xcat/handed-line.js';

const own =
  'imgurl=http://r/f/rootimg.cpio.gz XCAT=r:3001 NODE=n1 selinux=0 BOOTIF=01-52-54-00-00-00-01'.split(' ');

for (const [what, handed, words, expected] of [
  [
    'the root image is the generation’s, the rest is xCAT’s',
    'imgurl=http://m:80//install/x/rootimg.cpio.gz XCAT=m:3001 NODE=n1 FC=0 console=ttyS0',
    own,
    'imgurl=http://r/f/rootimg.cpio.gz XCAT=m:3001 NODE=n1 FC=0 console=ttyS0 BOOTIF=01-52-54-00-00-00-01',
  ],
  [
    'so is an install tree, and xCAT’s kickstart file stays where the osimage has none',
    'inst.repo=http://m/install/rocky9 inst.ks=http://m/install/autoinst/n1 ip=dhcp',
    ['inst.repo=http://r/t'],
    'inst.repo=http://r/t inst.ks=http://m/install/autoinst/n1 ip=dhcp',
  ],
  [
    'an answer file of the osimage comes before it',
    'inst.repo=http://m/install/rocky9 inst.ks=http://m/install/autoinst/n1',
    ['inst.repo=http://r/t', 'inst.ks=http://r/a'],
    'inst.repo=http://r/t inst.ks=http://r/a',
  ],
  ['an interface that xCAT names stays', 'quiet BOOTIF=aa:bb', own, 'quiet BOOTIF=aa:bb'],
  ['an osimage without such words changes nothing', 'imgurl=x a="b c"', ['quiet'], 'imgurl=x a="b c"'],
] as const) {
  test(what, (t) => {
    const split = handed.match(/(?:"[^"]*"|[^\s"])+/g) ?? [];
    t.is(mergeHandedLine(split, words).join(' '), expected);
  });
}

test('every word of xCAT’s stays at its place, and at most one is added', (t) => {
  const word = fc.constantFrom(
    'a',
    'quiet',
    'imgurl=1',
    'inst.repo=1',
    'x=imgurl',
    'BOOTIF=1',
    'ksdevice=eth0',
  );
  fc.assert(
    fc.property(fc.array(word), fc.array(word), (handed, words) => {
      const merged = mergeHandedLine(handed, words);
      t.true(merged.length - handed.length <= words.filter((each) => each.startsWith('BOOTIF')).length);
      handed.forEach((each, at) => t.is(merged[at]?.split('=')[0], each.split('=')[0]));
    }),
  );
});
