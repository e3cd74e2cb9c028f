/**
 * How secrets reach a machine at AWS: as encrypted parameters of Systems Manager, which the machine's own role may read and
 * nobody else's. They are in no user data and in no release.
 */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { parameterName } from "../../relay/agent/places.ts";
import { partitionOf } from "./places.ts";

/** Whose secrets they are. */
interface Owner {
  readonly stack: string;
  readonly regionId: number;
  readonly node: string;
  /** The region of AWS. */
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Declares a parameter for each secret, and the role that may read them.
 *
 * @param secrets at least one, by name
 * @returns name of the instance profile; and what has to be there before the machine asks
 */
export function createSecretAccess(
  { stack, regionId, node, location, tags }: Owner,
  prefix: string,
  secrets: ReadonlyMap<string, pulumi.Output<string>>,
  options: pulumi.CustomResourceOptions,
): { readonly profile: pulumi.Output<string>; readonly after: readonly pulumi.Resource[] } {
  const parameters = [...secrets].map(
    ([secret, value]) =>
      new aws.ssm.Parameter(
        `${prefix}-secret-${secret}`,
        { region: location, name: parameterName(stack, node, secret), type: "SecureString", value, tags },
        { ...options, deleteBeforeReplace: true },
      ),
  );
  // IAM is one for all regions, and its names are short: the provider makes them up.
  const namePrefix = `derpkit-${regionId}-`;
  const role = new aws.iam.Role(
    `${prefix}-role`,
    { namePrefix, assumeRolePolicy: renderTrust(location), description: `derpkit ${prefix}`, tags },
    options,
  );
  const policy = pulumi.all(parameters.map(({ arn }) => arn)).apply(renderReading);
  const policies = new aws.iam.RolePolicy(`${prefix}-role`, { role: role.name, policy }, options);
  const profile = new aws.iam.InstanceProfile(
    `${prefix}-role`,
    { namePrefix, role: role.name, tags },
    options,
  );
  return { profile: profile.name, after: [...parameters, policies] };
}

/** Who may take the role: machines. In China AWS' services have names of their own. */
function renderTrust(location: string): string {
  const service = partitionOf(location) === "aws-cn" ? "ec2.amazonaws.com.cn" : "ec2.amazonaws.com";
  return renderPolicy({ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" });
}

/** AWS' own key, which encrypts the parameters, opens them to whoever may read them. */
function renderReading(parameters: readonly string[]): string {
  return renderPolicy({ Effect: "Allow", Action: "ssm:GetParameter", Resource: parameters });
}

function renderPolicy(statement: object): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
}
