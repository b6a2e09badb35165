import test from 'ava';
import { parseNode } from '../../../src/node/nodes.js';
import { PowerError } from '../../../src/node/power/errors.js';
import { type ControlSettings, controlSettings, firmwareOf } from '../../../src/node/power/settings.js';
import { parseVerb } from '../../../src/node/power/verb.js';

const node = (attributes: Record<string, string>, ip?: string) =>
  parseNode({ name: 'n1', macs: ['52:54:00:00:00:01'], attributes, ...(ip === undefined ? {} : { ip }) });

const PIN = 'ab'.repeat(32);
const colons = PIN.toUpperCase().replace(/..(?=.)/g, '$&:');
const redfish = { kind: 'redfish', fingerprint: undefined, system: undefined } as const;

const controlled: readonly (readonly [Record<string, string>, ControlSettings])[] = [
  [
    { mgt: 'ipmi', bmc: '10.1.1.1' },
    { kind: 'ipmi', at: { host: '10.1.1.1', port: 623 } },
  ],
  [
    { mgt: 'openbmc', bmc: 'bmc1' },
    { ...redfish, at: { host: 'bmc1', port: 443 } },
  ],
  [
    { mgt: 'ipmi', power: 'redfish', bmc: '10.1.1.1' },
    { ...redfish, at: { host: '10.1.1.1', port: 443 } },
  ],
  [
    { mgt: 'redfish', bmc: 'fd00::7, 10.1.1.2', bmcserviceport: '8443', bmcsystem: '1' },
    { ...redfish, at: { host: 'fd00::7', port: 8443 }, system: '1' },
  ],
  [
    { mgt: 'redfish', bmc: '10.1.1.1', bmcfingerprint: `sha256:${PIN}` },
    { ...redfish, at: { host: '10.1.1.1', port: 443 }, fingerprint: colons },
  ],
  [{ mgt: 'ssh' }, { kind: 'ssh', at: { host: 'n1', port: 22 }, user: undefined }],
  [
    { mgt: 'ssh', sshuser: 'core', sshport: '2222' },
    { kind: 'ssh', at: { host: 'n1', port: 2222 }, user: 'core' },
  ],
];
for (const [attributes, settings] of controlled) {
  test(`controlled: ${JSON.stringify(attributes)}`, (t) => {
    t.deepEqual(controlSettings(node(attributes)), settings);
  });
}

test('ssh goes to the node’s address where it has one', (t) => {
  t.is(controlSettings(node({ mgt: 'ssh' }, '10.77.0.11')).at.host, '10.77.0.11');
});

const uncontrolled: readonly (readonly [Record<string, string>, RegExp])[] = [
  [{}, /nothing says how it is switched; set it with: rackboot node set n1 --attr mgt=ipmi/],
  [{ mgt: 'kvm' }, /attribute mgt is 'kvm', which rackboot cannot control/],
  [{ mgt: 'ipmi', power: 'constructor' }, /attribute power is 'constructor'/],
  [{ mgt: 'ipmi' }, /no BMC of it is known/],
  [{ mgt: 'ipmi', bmc: ' , ' }, /no BMC of it is known/],
  [{ mgt: 'ipmi', bmc: '-Pword' }, /bmc is no address or host name/],
  [{ mgt: 'redfish', bmc: 'a/b' }, /bmc is no address or host name/],
  [{ mgt: 'ipmi', bmc: 'b', bmcserviceport: '70000' }, /bmcserviceport is no port/],
  [{ mgt: 'ssh', sshport: '0' }, /sshport is no port/],
  [{ mgt: 'redfish', bmc: 'b', bmcfingerprint: 'ab:cd' }, /bmcfingerprint is no SHA-256/],
];
for (const [attributes, message] of uncontrolled) {
  test(`not controlled: ${JSON.stringify(attributes)}`, (t) => {
    const error = t.throws(() => controlSettings(node(attributes)), { instanceOf: PowerError });
    t.is(error.code, 'NO_CONTROL');
    t.regex(error.message, message);
  });
}

test('how the firmware boots', (t) => {
  t.is(firmwareOf(node({})), undefined);
  t.is(firmwareOf(node({ firmware: 'uefi' })), 'uefi');
  t.throws(() => firmwareOf(node({ firmware: 'efi' })), { message: /neither bios nor uefi/ });
});

test('verbs', (t) => {
  t.is(parseVerb('status'), 'stat');
  for (const [text, hint] of [
    ['rest', /did you mean 'reset'/],
    ['toString', /cannot 'toString' a machine; write/],
    ['cycles', /did you mean 'cycle'/],
    ['frobnicate', /cannot 'frobnicate' a machine; write/],
  ] as const)
    t.throws(() => parseVerb(text), { instanceOf: PowerError, code: 'BAD_VERB', message: hint });
});
