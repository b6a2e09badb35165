import { at, listAt, linkAt, localPath, textAt, textsAt } from './body.js';
import type { RedfishClient } from './client.js';

/** A parameter of an action, as far as the BMC describes it. */
export interface Parameter {
  readonly name: string;
  readonly isRequired: boolean;
  readonly allowed: readonly string[] | undefined; // undefined: it does not say
}

/** Something that a resource can be made to do. */
export interface Action {
  readonly target: string;
  readonly parameters: readonly Parameter[];
}

/** The action `name` of a resource, with what its annotations or its ActionInfo say; undefined where it has none. */
export async function findAction(
  client: RedfishClient,
  resource: unknown,
  name: string,
): Promise<Action | undefined> {
  const action = at(resource, 'Actions', name);
  const target = localPath(textAt(action, 'target'));
  if (target === undefined) return undefined;
  const info = localPath(textAt(action, '@Redfish.ActionInfo')) ?? linkAt(action, '@Redfish.ActionInfo');
  const described = info === undefined ? [] : listAt((await client.get(info)).body, 'Parameters');
  const parameters = new Map(
    described.map((each) => [
      textAt(each, 'Name') ?? '',
      { isRequired: at(each, 'Required') === true, allowed: textsAt(each, 'AllowableValues') },
    ]),
  );
  for (const key of Object.keys(typeof action === 'object' && action !== null ? action : {})) {
    const parameter = /^(.+)@Redfish\.AllowableValues$/.exec(key)?.[1];
    if (parameter === undefined) continue;
    const isRequired = parameters.get(parameter)?.isRequired ?? false;
    parameters.set(parameter, { isRequired, allowed: textsAt(action, key) });
  }
  return { target, parameters: [...parameters].map(([name, each]) => ({ name, ...each })) };
}
