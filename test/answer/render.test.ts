import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { renderAnswer } from '../../src/answer/render.js';
import { templatePlace } from '../../src/answer/template-line.js';
import { packageRoot } from '../../src/site/assets.js';
import { sampleVariables } from '../../src/template/variables.js';
import { renderTemplate } from '../../src/template/render.js';

const setting = { release: 'xcp-ng-8', signed: true } as const;

const template = `<installation>
{%- for disk in disks %}
  <guest-disk>{{ disk }}</guest-disk>
{%- endfor %}
  {% if
     mode %}<primary-disk>sda</primary-disk>{% endif %}
  <source type="{{ type }}">http://192.0.2.5/</source>
  <admin-interface name="eth0" proto="dhpc"/>
</installation>
`;

test('a mistake is told by the template’s own line and column, and what may stand there', (t) => {
  const variables = { disks: ['sdb', 'sdc', 'sdd'], mode: true, type: 'url' };
  t.throws(() => renderAnswer(template, 'rack7/answerfile.liquid', variables, setting), {
    name: 'AnswerError',
    message:
      'rack7/answerfile.liquid line 8 column 32: <admin-interface> proto="dhpc" is not one of static, dhcp, none',
  });
});

test('a mistake in a value is told where the value is put in', (t) => {
  const variables = { disks: ['sdb', '/dev/'], mode: true, type: 'uri' };
  const error = t.throws(() => renderAnswer(template, 'a', variables, setting));
  t.regex(
    error?.message ?? '',
    /^a line 3 column 3: <guest-disk> "\/dev\/" is not one disk.*; line 7 column 11: <source> type="uri" .*; line 8 /,
  );
});

test('an answer file of another family is not looked into', (t) => {
  t.is(renderAnswer('d-i {{ a }}', 'a', { a: 1 }, undefined), 'd-i 1');
});

test('property: a place in text that no tag is in is the same place in the template', (t) => {
  const line = fc.stringMatching(/^[a-z <>/="é]{0,12}$/);
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), fc.nat(7), (lines, at) => {
      const text = lines.join('\n');
      const place = { line: (at % lines.length) + 1, column: 1 };
      t.deepEqual(templatePlace(text, renderTemplate(text, 'x', {}), {}, place), place);
    }),
  );
});

const layer = join(packageRoot(), 'configs/xcp-ng/answerfile.liquid');
const { node, ...others } = sampleVariables();
const variants: readonly (readonly [string, object, boolean, RegExp])[] = [
  [
    'a node with a MAC',
    { node },
    true,
    /<installation mode="fresh">[^]*hwaddr="52:54:00:12:34:56" proto="dhcp">/,
  ],
  ['an unsigned tree', { node }, false, /<installation mode="fresh" repo-gpgcheck="false">/],
  [
    'a static address',
    { node: { ...node, attributes: { gateway: '192.0.2.1', interface: 'eth1', disk: 'nvme0n1' } } },
    true,
    /nvme0n1[^]*name="eth1" proto="static">\s*<ip>192\.0\.2\.11<\/ip>\s*<subnet-mask>255\.255\.255\.0<[^]*<gateway>192\.0\.2\.1</,
  ],
  [
    'a bare node',
    { node: { name: 'n1', macs: [], groups: [], attributes: {} } },
    true,
    /name="eth0" proto="dhcp"/,
  ],
  [
    'every setting',
    {
      node,
      settings: {
        root_password: '$6$a$b',
        timezone: 'Europe/Paris',
        keymap: 'fr',
        sr_type: 'lvm',
        gpgcheck: 'false',
      },
    },
    true,
    /sr-type="lvm" gpgcheck="false">[^]*Europe\/Paris[^]*>fr<[^]*\$6\$a\$b/,
  ],
];

for (const [name, variables, signed, expected] of variants) {
  test(`the shipped answer file is right for ${name}`, async (t) => {
    const text = await readFile(layer, 'utf8');
    const filled = renderAnswer(
      text,
      'xcp-ng',
      { ...others, ...variables, signed },
      { release: 'xcp-ng-8', signed },
    );
    t.regex(filled, expected);
    t.regex(filled, /<source type="url">http:\/\/192\.0\.2\.1:8080\/images\/sample@0+\/tree\/<\/source>/);
  });
}
