import "./static/usage-panel.js";
