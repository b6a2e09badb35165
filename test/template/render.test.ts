import test from 'ava';
import { nodeVariables, sampleVariables } from '../../src/template/variables.js';
import { renderTemplate } from '../../src/template/render.js';

const variables = {
  ...sampleVariables({ console: 'ttyS0' }),
  node: nodeVariables({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: null,
    uuid: null,
    serial: null,
    groups: ['rack1'],
    attributes: { console: 'ttyS0' },
  }),
};

const rows: readonly (readonly [string, string])[] = [
  ['host {{ node.name }} {{ node.mac }}', 'host n1 52:54:00:00:00:01'],
  ['console={{ node.attributes.console }}', 'console=ttyS0'],
  ["{{ node.attributes.disk | default: '/dev/sda' }}", '/dev/sda'],
  ['{% if node.ip %}ip{% else %}none{% endif %}', 'none'],
  ['{% for g in node.groups %}{{ g }};{% endfor %}', 'rack1;'],
  ['{{ server.address }}', '192.0.2.1'],
];
for (const [text, expected] of rows) {
  test(text, (t) => {
    t.is(renderTemplate(text, 'configs/x/answerfile.liquid', variables), expected);
  });
}

const wrong: readonly (readonly [string, RegExp])[] = [
  [
    'one\n{{ node.nmae }}',
    /^configs\/x\/a\.liquid line 2: undefined variable: node\.nmae; known are: node\.name, node\.mac, /,
  ],
  ['{{ node.ip }}', /line 1: undefined variable: node\.ip/],
  ['\n\n{{ x | nosuch }}', /line 3: undefined filter: nosuch/],
  ['{% nosuch %}', /line 1: tag "nosuch" not found/],
  ["{% include '/etc/passwd' %}", /a\.liquid line 1: /],
  ["{% render '../../etc/passwd' %}", /a\.liquid line 1: /],
  ['{{ node.constructor }}', /undefined variable/],
  ['{% for i in (1..100000000) %}{{ i }}{% endfor %}', /line 1: memory alloc limit exceeded/],
];
for (const [text, message] of wrong) {
  test(`refuses ${JSON.stringify(text).slice(0, 40)}`, (t) => {
    const error = t.throws(() => renderTemplate(text, 'configs/x/a.liquid', variables), {
      message,
      name: 'TemplateError',
    });
    t.false(error?.message.includes('\n'));
  });
}
