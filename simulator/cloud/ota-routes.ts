// The control plane's paths for OTA updates (botocore model "iot").

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
import type { JsonObject } from "./json.js";
import { parseOtaRequest } from "./ota-request.js";
import { jobArn, jobIdOf, type OtaUpdate, type OtaUpdates, otaUpdateArn } from "./ota-updates.js";

export function otaRoutes(updates: OtaUpdates): readonly ControlRoute[] {
  return [
    {
      path: /^\/otaUpdates\/([^/]+)$/,
      methods: {
        POST: async (id, request) => {
          const asked = parseOtaRequest(bodyOf(request));
          if (asked.roleArn === undefined) throw invalidRequest("roleArn: it is required");
          const create = (): OtaUpdate => updates.create(id, asked);
          const { otaUpdateId, status } = await orExists(create, id, otaUpdateArn(id));
          return controlSuccess({ ...namesOf(otaUpdateId), otaUpdateStatus: status });
        },
        GET: id => {
          const update = updates.find(id);
          if (update !== undefined) return controlSuccess({ otaUpdateInfo: infoOf(update) });
          throw new CloudError("cloud/not-found", `OTA update ${id} does not exist.`);
        },
        DELETE: async (id, { query }) => {
          await updates.remove(id, {
            deleteStream: query.get("deleteStream") === "true",
            forceDeleteAWSJob: query.get("forceDeleteAWSJob") === "true",
          });
          return controlSuccess({});
        },
      },
    },
    {
      path: /^\/otaUpdates$/,
      methods: {
        GET: (_id, request) => {
          const status = request.query.get("otaUpdateStatus");
          const fitting = updates.list().filter(each => status === null || each.status === status);
          const { page, next } = pageOf(fitting, request);
          const otaUpdates = page.map(({ otaUpdateId, createdAt }) => ({
            otaUpdateId,
            otaUpdateArn: otaUpdateArn(otaUpdateId),
            creationDate: seconds(createdAt),
          }));
          return controlSuccess({ otaUpdates, ...next });
        },
      },
    },
  ];
}

function namesOf(otaUpdateId: string): JsonObject {
  const awsIotJobId = jobIdOf(otaUpdateId);
  return {
    otaUpdateId,
    otaUpdateArn: otaUpdateArn(otaUpdateId),
    awsIotJobId,
    awsIotJobArn: jobArn(awsIotJobId),
  };
}

function infoOf(update: OtaUpdate): JsonObject {
  const { otaUpdateId, status, request, createdAt, lastModifiedAt, errorInfo } = update;
  const { files, roleArn: _roleArn, protocols = ["MQTT"], ...config } = request;
  return {
    ...namesOf(otaUpdateId),
    creationDate: seconds(createdAt),
    lastModifiedDate: seconds(lastModifiedAt),
    otaUpdateStatus: status,
    ...(config as JsonObject),
    protocols,
    otaUpdateFiles: files as unknown as JsonObject[],
    ...(errorInfo === undefined ? {} : { errorInfo }),
  };
}
