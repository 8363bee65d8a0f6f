// Earning an identity, and another one later. A firmware without this part has a stand-in for this module.
export { checkEnrolling } from "../provisioning/enrolling.js";
export { Provisioner } from "../provisioning/provisioner.js";
