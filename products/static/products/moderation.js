// The form works without this file, one batch a click. Here one click does batch after batch.
const form = document.getElementById("moderation");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [button, bar, said] = ["button", "progress", "output"].map((tag) => form.querySelector(tag));
  const body = new FormData(form);
  let done = 0;
  button.disabled = true;
  bar.hidden = false;
  try {
    for (;;) {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body,
      });
      if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
      const { deleted, left } = await answer.json();
      done += deleted;
      bar.value = done / (done + left || 1);
      said.textContent = `${done} soft-deleted, ${left} left.`;
      if (!left || !deleted || done >= Number(bar.dataset.most)) break;
    }
  } catch (error) {
    said.textContent = `${done} soft-deleted, then it stopped: ${error.message}`;
  }
  button.disabled = false;
});
