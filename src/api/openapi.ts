import type { Route } from '../pxe/http/route.js';

/** The OpenAPI 3.1 description of `routes`: written from what the dispatcher routes by, so nothing can be missing. */
export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll('...}', '}');
    const operations = (paths[path] ??= {});
    for (const method of route.methods) operations[method.toLowerCase()] = operationOf(route, method);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'rackboot',
      version,
      description:
        'Boot scripts, images, install trees, answer files, reports and the node database. Reading is open to the boot network; changes want the token that the site keeps in api.token, over HTTPS or from the server itself.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
  };
}

function operationOf(route: Route, method: string): object {
  const inPath = [...route.path.matchAll(/\{(\w+)(\.\.\.)?\}/g)].map(([, name = '', rest]) => ({
    name,
    in: 'path',
    required: true,
    ...(rest === undefined ? {} : { description: 'A path; it may hold slashes' }),
    schema: { type: 'string' },
  }));
  const inQuery = (route.query ?? []).map(({ name, description }) => ({
    name,
    in: 'query',
    description,
    schema: { type: 'string' },
  }));
  const responses = Object.fromEntries(
    Object.entries(route.responses).map(([status, description]) => [
      status,
      status === '200' && method !== 'HEAD'
        ? { description, content: { [route.produces]: {} } }
        : { description },
    ]),
  );
  const { body } = route;
  return {
    summary: route.summary,
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(body === undefined || method === 'GET' || method === 'HEAD'
      ? {}
      : { requestBody: { description: body.description, content: { [body.contentType]: {} } } }),
    responses,
  };
}
