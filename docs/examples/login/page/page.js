const form = document.querySelector("form");
const message = document.querySelector("#message");

async function showWho() {
  const { name } = await (await fetch("me")).json();
  document.querySelector("#who").textContent = name ? `You are signed in as ${name}.` : "You are not signed in.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  message.textContent = "One moment…";
  try {
    const address = event.submitter.getAttribute("formaction");
    const answer = await (await fetch(address, { method: "POST", body: new FormData(form) })).json();
    message.textContent = [answer.message, answer.notice].filter(Boolean).join(" ");
    await showWho();
  } catch {
    message.textContent = "The site does not answer. Check your connection.";
  }
});

showWho();
