// The form works without this file. Here names are ticked all at once, and the button counts.
const form = document.getElementById("moderation");

if (form) {
  const boxes = [...form.querySelectorAll("input[name=name]")];
  const [all, button] = [form.querySelector("#all"), form.querySelector("#ask")];
  const label = button.textContent;

  const count = () => {
    const ticked = boxes.filter((box) => box.checked);
    const rows = ticked.reduce((sum, box) => sum + Number(box.dataset.rows), 0);
    button.disabled = !ticked.length;
    button.textContent = ticked.length ? `${label} (${rows.toLocaleString("en-US")})` : label;
    all.checked = ticked.length === boxes.length;
    all.indeterminate = ticked.length > 0 && !all.checked;
  };

  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  form.addEventListener("change", count);
  // A browser that goes back ticks what was ticked.
  window.addEventListener("pageshow", count);
}
