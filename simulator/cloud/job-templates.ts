// The job templates that AWS keeps (developer guide "job-templates-managed"), as its Device Client executes them. Pure.

export interface TemplateParameter {
  readonly key: string;
  readonly description: string;
  readonly regex: string;
  readonly example: string;
  readonly optional: boolean;
}

export interface ManagedTemplate {
  readonly templateName: string;
  readonly templateArn: string;
  readonly templateVersion: string;
  readonly description: string;
  readonly environments: readonly string[];
  readonly documentParameters: readonly TemplateParameter[];
  /** With `${aws:iot:parameter:NAME}` in it. */
  readonly document: string;
}

/** AWS's own: no account in it. */
const arnPrefix = "arn:aws:iot:eu-west-1::jobtemplate/";
const version = "1.0";
const anything = "^[^\\u0000-\\u001f]+$";

const examples = {
  downloadUrl: "https://example.com/file",
  filePath: "/home/user/file",
  packages: "package1 package2",
  services: "service1 service2",
  command: "ls,-l,/tmp",
} as const;
type Required = keyof typeof examples;

const placeholder = (name: string): string => `\${aws:iot:parameter:${name}}`;

/** Descriptions, regular expressions and examples are in our words: clients show them, nothing evaluates them. */
function parameter(key: string, example: string, optional: boolean): TemplateParameter {
  return { key, description: `What ${key} is`, regex: anything, example, optional };
}

function template(
  name: string,
  description: string,
  required: readonly Required[],
  input: object,
): ManagedTemplate {
  const isCommand = "command" in input;
  const action = {
    name,
    type: isCommand ? "runCommand" : "runHandler",
    input: isCommand ? input : { ...input, path: placeholder("pathToHandler") },
    runAsUser: placeholder("runAsUser"),
  };
  return Object.freeze({
    templateName: `AWS-${name}`,
    templateArn: `${arnPrefix}AWS-${name}:${version}`,
    templateVersion: version,
    description,
    environments: ["LINUX"],
    documentParameters: [
      ...required.map(key => parameter(key, examples[key], false)),
      parameter("runAsUser", "user1", true),
      ...(isCommand ? [] : [parameter("pathToHandler", "/home/user/handlers", true)]),
    ],
    document: JSON.stringify({ version, steps: [{ action }] }),
  });
}

function handler(
  name: string,
  description: string,
  file: string,
  args: readonly Required[],
): ManagedTemplate {
  const input = {
    handler: file,
    ...(args.length === 0 ? {} : { args: args.map(placeholder) }),
  };
  return template(name, description, args, input);
}

export const managedTemplates: readonly ManagedTemplate[] = Object.freeze([
  handler("Download-File", "Downloads a file.", "download-file.sh", ["downloadUrl", "filePath"]),
  handler("Install-Application", "Installs packages.", "install-packages.sh", ["packages"]),
  handler("Reboot", "Starts the device again.", "reboot.sh", []),
  handler("Remove-Application", "Removes packages.", "remove-packages.sh", ["packages"]),
  handler("Restart-Application", "Starts services again.", "restart-services.sh", ["services"]),
  template("Run-Command", "Runs a command.", ["command"], { command: placeholder("command") }),
  handler("Start-Application", "Starts services.", "start-services.sh", ["services"]),
  handler("Stop-Application", "Stops services.", "stop-services.sh", ["services"]),
]);

/** @param name of the template, or its ARN with or without its version */
export function managedTemplate(name: string): ManagedTemplate | undefined {
  const [, arnName] = /^arn:aws:iot:[a-z0-9-]*::jobtemplate\/([^:]+)(?::1\.0)?$/.exec(name) ?? [];
  return managedTemplates.find(each => each.templateName === (arnName ?? name));
}
