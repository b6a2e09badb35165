import type { Socket } from 'node:dgram';

/**
 * The descriptor of a bound socket, which Node keeps to itself; undefined when it is not where Node 20 has it. Valid
 * until the socket is closed, and only in the turn of the event loop that it was asked for in, as it may be by then.
 */
export function descriptorOf(socket: Socket): number | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  );
  const state: unknown = symbol === undefined ? undefined : Reflect.get(socket, symbol);
  const descriptor = fieldOf(fieldOf(state, 'handle'), 'fd');
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
