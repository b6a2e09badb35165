import test from 'ava';
import { unheededSettings } from '../../src/osimage/unheeded-settings.js';

const ANSWER =
  "<timezone>{{ settings.timezone | default: 'Etc/UTC' }}</timezone>{% if settings['root-password'] %}x{% endif %}";

const table: readonly (readonly [
  string,
  Readonly<Record<string, string>>,
  readonly string[],
  readonly string[],
])[] = [
  ['those that are named', { timezone: 'a', 'root-password': 'b' }, [ANSWER], []],
  [
    'one that is misspelt',
    { timezon: 'a', timezone: 'b' },
    [ANSWER],
    ['setting timezon: no template of the layers names it; they name root-password, timezone'],
  ],
  ['one that boot arguments name', { disk: 'sda' }, [ANSWER, 'disk={{ settings.disk }}'], []],
  [
    'a name that goes on',
    { time: 'a' },
    ['{{ settings.timezone }}'],
    ['setting time: no template of the layers names it; they name timezone'],
  ],
  ['without templates', { a: '1' }, ['quiet'], ['setting a: no template of the layers names it']],
  ['one that was there before', { old: '1' }, [ANSWER], []],
  ['templates that go through all', { any: '1' }, ['{% for s in settings %}{{ s[0] }}{% endfor %}'], []],
  ['templates that look one up', { any: '1' }, ['{{ settings[node.name] }}'], []],
  ['what xCAT composes', { addkcmdline: '1' }, ['{{ xcat.line }}'], []],
];

for (const [what, settings, templates, expected] of table)
  test(what, (t) => {
    t.deepEqual(unheededSettings({ settings, before: { old: '1' }, templates }), expected);
  });
