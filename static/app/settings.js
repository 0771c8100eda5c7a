/** The settings page: the devices that are signed in, and signing them out from here. */
import * as api from "../net/api.js";
import { briefTime } from "../kit/dates.js";

const list = document.getElementById("devices");
const trouble = document.getElementById("devices-trouble");
const template = document.getElementById("device-template");

function row(device) {
  const node = template.content.firstElementChild.cloneNode(true);
  const part = (name) => node.querySelector(`[data-part="${name}"]`);
  const name = device.name || "A device without a name";
  part("name").textContent = name;
  part("seen").textContent = `Last seen ${briefTime(device.lastSeenAt)}`;
  part("current").hidden = !device.current;
  part("revoke").hidden = device.current;
  part("revoke").setAttribute("aria-label", `Sign out ${name}`);
  part("revoke").addEventListener("click", () => revoke(device, node));
  return node;
}

async function revoke(device, node) {
  try {
    await api.remove(`/auth/devices/${device.id}`);
    node.remove();
  } catch (fault) {
    trouble.textContent = fault.message;
  }
}

async function load() {
  try {
    const { results } = await api.get("/auth/devices");
    list.replaceChildren(...results.map(row));
  } catch (fault) {
    trouble.textContent = fault.message;
  } finally {
    list.removeAttribute("aria-busy");
  }
}

await load();
