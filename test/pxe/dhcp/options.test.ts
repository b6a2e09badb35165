import test from 'ava';
import fc from 'fast-check';
import { DhcpError } from '../../../src/pxe/dhcp/errors.js';
import {
  OPTION,
  addressOption,
  encapsulatingOption,
  messageTypeOption,
  readAddress,
  readArchitectures,
  readEncapsulated,
  readMachineUuid,
  readMaxMessageSize,
  readMessageType,
  readParameterRequestList,
  readText,
  readUserClasses,
  secondsOption,
} from '../../../src/pxe/dhcp/options.js';
import { clientMessage, hex } from './messages.js';

const userClasses: readonly [name: string, data: string, classes: string[]][] = [
  ['iPXE as it sends it', '69505845', ['iPXE']],
  ['one class as RFC 3004 has it', '0469505845', ['iPXE']],
  ['two classes as RFC 3004 has them', '0469505845036c6162', ['iPXE', 'lab']],
  ['lengths that do not add up', '05695058', ['?iPX']],
  ['a length of none', '0469505845' + '00', ['?iPXE']],
  ['control characters', '6c1b5b41', ['l?[A']],
  ['nothing', '', []],
];
for (const [name, data, classes] of userClasses) {
  test(`user class: ${name}`, (t) => t.deepEqual(readUserClasses(clientMessage([hex(77, data)])), classes));
}

const uuids: readonly [name: string, data: string, uuid: string | undefined][] = [
  [
    'swaps the first three fields',
    '0033221100554477668899aabbccddeeff',
    '00112233-4455-6677-8899-aabbccddeeff',
  ],
  ['all zeros', '00'.repeat(17), undefined],
  ['all ones', '00' + 'ff'.repeat(16), undefined],
  ['another type', '0133221100554477668899aabbccddeeff', undefined],
  ['too short', '0033221100', undefined],
];
for (const [name, data, uuid] of uuids) {
  test(`machine id: ${name}`, (t) => t.is(readMachineUuid(clientMessage([hex(97, data)])), uuid));
}

test('architectures, sizes and lists', (t) => {
  t.deepEqual(readArchitectures(clientMessage([hex(93, '00070009')])), [7, 9]);
  t.deepEqual(readArchitectures(clientMessage([hex(93, '000700')])), []);
  t.is(readMaxMessageSize(clientMessage([hex(57, '05c0')])), 1472);
  t.is(readMaxMessageSize(clientMessage([hex(57, '0005c0')])), undefined);
  t.deepEqual([...(readParameterRequestList(clientMessage([hex(55, '010306')])) ?? [])], [1, 3, 6]);
  t.is(readParameterRequestList(clientMessage([hex(55, '')])), undefined);
  t.is(readText(clientMessage([hex(60, '642d690000')]), OPTION.vendorClass), 'd-i');
});

test('options that steer the protocol are refused when malformed', (t) => {
  for (const read of [
    () => readMessageType(clientMessage([hex(53, '')])),
    () => readMessageType(clientMessage([hex(53, '0101')])),
    () => readAddress(clientMessage([hex(50, '0a4d00')]), OPTION.requestedAddress),
    () => readAddress(clientMessage([hex(54, '0a4d000105')]), OPTION.serverIdentifier),
  ]) {
    t.is(t.throws(read, { instanceOf: DhcpError })?.code, 'BAD_OPTION');
  }
  t.is(readMessageType(clientMessage([hex(53, '0d')])), 'other');
  t.is(readMessageType(clientMessage([hex(53, '00')])), 'other');
  t.is(readMessageType(clientMessage([])), undefined);
});

test('what is written, as it lies on the wire', (t) => {
  t.deepEqual(messageTypeOption('ack'), hex(53, '05'));
  t.deepEqual(addressOption(6, ['10.77.0.1', '10.77.0.2']), hex(6, '0a4d00010a4d0002'));
  t.deepEqual(secondsOption(51, 3600), hex(51, '00000e10'));
  t.deepEqual(secondsOption(51, 1e12), hex(51, 'ffffffff'));
  t.deepEqual(encapsulatingOption(43, [hex(6, '08')], { end: true }), hex(43, '060108ff'));
  t.deepEqual(encapsulatingOption(175, [hex(176, '01')], { end: false }), hex(175, 'b00101'));
});

test('encapsulated options are read back, and anything else is undefined or a list', (t) => {
  const inner = fc.array(
    fc.record({
      code: fc.integer({ min: 1, max: 254 }),
      data: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(inner, fc.boolean(), (options, end) =>
      t.deepEqual(readEncapsulated(encapsulatingOption(43, options, { end }).data), options),
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void readEncapsulated(Buffer.from(bytes))),
  );
});
