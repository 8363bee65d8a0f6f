// The control plane's paths for streams (botocore model "iot").

import * as v from "valibot";
import {
  bodyOf,
  type ControlRoute,
  controlSuccess,
  invalidRequest,
  orExists,
  pageOf,
  seconds,
} from "./control-routes.js";
import { CloudError } from "./errors.js";
import type { Json, JsonObject } from "./json.js";
import { type Stream, streamArn } from "./stream-records.js";
import type { Streams } from "./streams.js";

const location = v.object({
  bucket: v.string(),
  key: v.string(),
  version: v.exactOptional(v.string()),
});
const files = v.array(v.object({ fileId: v.number(), s3Location: location }));
const createBody = v.object({
  files,
  roleArn: v.string(),
  description: v.exactOptional(v.string()),
});
const updateBody = v.partial(createBody);

export function streamRoutes(streams: Streams): readonly ControlRoute[] {
  return [
    {
      path: /^\/streams\/([^/]+)$/,
      methods: {
        POST: async (id, request) => {
          const content = checked(createBody, bodyOf(request));
          const create = (): Stream => streams.create(id, content);
          return controlSuccess(summaryOf(await orExists(create, id, streamArn(id))));
        },
        PUT: (id, request) => {
          const { files, roleArn, description } = checked(updateBody, bodyOf(request));
          const stream = streams.update(id, {
            ...(files === undefined ? {} : { files }),
            ...(roleArn === undefined ? {} : { roleArn }),
            ...(description === undefined ? {} : { description }),
          });
          return controlSuccess(summaryOf(stream));
        },
        GET: id => {
          const stream = streams.find(id);
          if (stream !== undefined) return controlSuccess({ streamInfo: infoOf(stream) });
          throw new CloudError("cloud/not-found", `Stream ${id} does not exist.`);
        },
        DELETE: id => {
          streams.remove(id);
          return controlSuccess({});
        },
      },
    },
    {
      path: /^\/streams$/,
      methods: {
        GET: (_id, request) => {
          const isDescending = request.query.get("isAscendingOrder") === "false";
          const all = [...streams.list()].sort((a, b) => a.createdAt - b.createdAt);
          const { page, next } = pageOf(isDescending ? all.reverse() : all, request);
          return controlSuccess({ streams: page.map(summaryOf), ...next });
        },
      },
    },
  ];
}

function checked<S extends v.GenericSchema>(schema: S, body: JsonObject): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw invalidRequest(`${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
}

function summaryOf({ streamId, streamVersion, description }: Stream): JsonObject {
  return { streamId, streamArn: streamArn(streamId), description, streamVersion };
}

function infoOf(stream: Stream): JsonObject {
  const { createdAt, lastUpdatedAt, roleArn } = stream;
  const shown = stream.files.map(({ fileId, s3Location }) => ({ fileId, s3Location }));
  return {
    ...summaryOf(stream),
    files: shown as Json,
    createdAt: seconds(createdAt),
    lastUpdatedAt: seconds(lastUpdatedAt),
    roleArn,
  };
}
