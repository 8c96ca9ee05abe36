# The pictures of the terminal in docs/pictures (CONTRIBUTING.md).
.PHONY: pictures

pictures: test-packages venv ## Record the pictures of the pages anew (as root)
	@scripts/prepare_test_host.sh
	@$(BIN)/python -m scripts.pictures
