// Passkeys: opens the browser's own dialog and sends what it answers. Forms with data-passkey are hidden without this.
(() => {
  "use strict";
  if (!window.PublicKeyCredential) return;
  const open = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), one => one.charCodeAt(0));
  const pack = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const opened = list => (list || []).map(one => ({ ...one, id: open(one.id) }));

  // Where the page does not carry the options, the address of the form gives them.
  const options = async form => {
    const written = document.getElementById("passkey-options");
    if (written) return JSON.parse(written.textContent).publicKey;
    const answer = await fetch(form.action, { headers: { "X-Requested-With": "XMLHttpRequest" } });
    return (await answer.json()).request_options.publicKey;
  };

  const ask = async form => {
    const given = await options(form);
    const publicKey = { ...given, challenge: open(given.challenge) };
    if (form.dataset.passkey === "create") {
      publicKey.user = { ...given.user, id: open(given.user.id) };
      publicKey.excludeCredentials = opened(given.excludeCredentials);
      return navigator.credentials.create({ publicKey });
    }
    publicKey.allowCredentials = opened(given.allowCredentials);
    return navigator.credentials.get({ publicKey });
  };

  const written = credential => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = pack(credential.response[name]);
    }
    return JSON.stringify({
      id: credential.id,
      rawId: pack(credential.rawId),
      type: credential.type,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async event => {
      event.preventDefault();
      const failed = document.querySelector("[data-passkey-failed]");
      failed.hidden = true;
      try {
        form.elements.credential.value = written(await ask(form));
        form.submit();
      } catch {
        failed.hidden = false;
      }
    });
  }
})();
